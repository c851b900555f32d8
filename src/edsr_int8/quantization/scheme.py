"""How activations are written in 8 bits: which grids a scheme allows, and under which names its codes go."""

from typing import Literal

Scheme = Literal["uint8_asymmetric", "int8_asymmetric", "int8_symmetric", "int8_power_of_two"]
DEFAULT: Scheme = "uint8_asymmetric"
SIGNED = frozenset({"int8_asymmetric", "int8_symmetric", "int8_power_of_two"})  # codes are written as int8
SYMMETRIC = frozenset({"int8_symmetric", "int8_power_of_two"})  # zero point 0 everywhere
HighPrecision = Literal["float32", "uint16"]  # what layers above 8 bits compute in
POWER_OF_TWO = frozenset({"int8_power_of_two"})  # all scales, those of weights too: to requantize is to shift
