"""What a .tflite holds, before it is written: operators on tensors of int8 codes, or of float32."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Tensor:
    """An activation: value = scale * (int8 code - zero_point). No scale: it is float32."""

    name: str
    channels: int
    finer: int = 1  # times as high and wide as the input
    scale: float | None = None
    zero_point: int = 0


@dataclass(frozen=True, eq=False)
class Operator:
    """One operation; its output is its own kind of tensor, whatever its inputs are."""

    inputs: tuple[Tensor, ...]
    output: Tensor


@dataclass(frozen=True, eq=False)
class Conv(Operator):
    """Stride 1, zero padding that keeps height and width. `layer`: its node's name in the build."""

    layer: str
    weight: np.ndarray  # OIHW; int8 codes, or float32
    bias: np.ndarray  # int32 in steps of weight scale x input scale, or float32
    weight_scales: np.ndarray | None = None  # float32, one for each output channel
    relu: bool = False


@dataclass(frozen=True, eq=False)
class Add(Operator):
    """The sum of two tensors."""


@dataclass(frozen=True, eq=False)
class Concat(Operator):
    """The channels of tensors on one grid, one after the other."""


@dataclass(frozen=True, eq=False)
class Shuffle(Operator):
    """factor^2 * C channels -> C channels. ONNX and torch (CRD) let the place in the square vary fastest over
    the channels, TensorFlow (DCR) the output's channel; `in_tensorflow_order` makes the first the second.
    """

    factor: int


@dataclass(frozen=True, eq=False)
class Plane(Operator):
    """One more channel after the others: int8 `code` in every pixel."""

    code: int


@dataclass(frozen=True, eq=False)
class Quantize(Operator):
    """Float -> codes, or codes -> codes on another grid."""


@dataclass(frozen=True, eq=False)
class Dequantize(Operator):
    """Codes -> float."""


@dataclass(frozen=True, eq=False)
class Operators:
    """A graph with one input and one output; the operators in the order in which they run.

    `input_type`, `output_type`: of the build's own ends, such as uint8, where the .tflite has int8.
    """

    operators: tuple[Operator, ...]
    input: Tensor
    output: Tensor
    input_type: np.dtype
    output_type: np.dtype
