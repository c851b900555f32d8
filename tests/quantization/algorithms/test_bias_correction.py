"""Bias correction: means become the float network's."""

from collections.abc import Callable

import numpy as np
import torch

from edsr_int8.quantization.algorithms.bias_correction import correct_biases
from edsr_int8.quantization.recipe import MODEL_CARD
from edsr_int8.quantization.simulation.crops import Crops
from edsr_int8.quantization.simulation.quantsim import ALL, NOTHING, Rounding, Simulation
from edsr_int8.quantization.state import QuantizedNetwork


@torch.no_grad()
def test_corrected_means_are_the_float_ones(
    quantized: Callable[[str], QuantizedNetwork], crops: torch.Tensor
) -> None:
    state, name = quantized("x1"), "head"  # linear, and no Relu before it: there the correction is exact

    def mean(of: QuantizedNetwork, rounding: Rounding) -> torch.Tensor:
        means = {}

        def see(tensor: str, value: torch.Tensor) -> torch.Tensor:
            means[tensor] = value.mean(dim=(0, 2, 3))
            return value

        Simulation(of)(crops.float(), rounding=rounding, see=see)
        return means[name]

    corrected = correct_biases(state, MODEL_CARD, Crops(crops, crops))
    half_a_step = 5e-3  # of a bias
    wanted = mean(state, NOTHING)
    np.testing.assert_allclose(mean(corrected, ALL), wanted, atol=half_a_step)
    assert (mean(state, ALL) - wanted).abs().max() > half_a_step
