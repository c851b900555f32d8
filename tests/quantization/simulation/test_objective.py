"""Errors against the float network, by numpy."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.ndimage import uniform_filter

from edsr_int8.quantization.simulation.objective import (
    DETAIL_FLOOR,
    geometric_error,
    mean_error,
    visible_error,
    with_float_outputs,
)
from edsr_int8.quantization.simulation.quantsim import NOTHING, Simulation
from edsr_int8.quantization.state import QuantizedNetwork


@torch.no_grad()
def test_means_over_crops(quantized: Callable[[str], QuantizedNetwork], crops: torch.Tensor) -> None:
    state = quantized("six")
    simulation = Simulation(state)
    images, wanted = with_float_outputs(state.network, crops)
    each = np.square((simulation(images) - wanted).double().numpy()).mean(axis=(1, 2, 3))
    assert mean_error(simulation, images, wanted) == pytest.approx(each.mean(), rel=1e-4)
    geometric = np.exp(np.log(each + 0.01).mean())
    assert geometric_error(simulation, images, wanted) == pytest.approx(geometric, rel=1e-4)
    assert geometric < each.mean()
    pixels = crops.double().numpy()
    blurred = uniform_filter(pixels, (0, 0, 3, 3), mode="mirror")
    hidden_in = np.square(pixels - blurred).mean(axis=(1, 2, 3)) + DETAIL_FLOOR
    visible = (each / hidden_in).mean()
    assert visible_error(simulation, images, wanted) == pytest.approx(visible, rel=1e-4)


def test_float_outputs_are_those_without_rounding(
    quantized: Callable[[str], QuantizedNetwork], crops: torch.Tensor
) -> None:
    state = quantized("six")
    images, wanted = with_float_outputs(state.network, crops)
    assert images.dtype == torch.float32 and torch.equal(images, crops.float())
    assert wanted.min() >= 0 and wanted.max() <= 255
    assert mean_error(Simulation(state), images, wanted, NOTHING) < 1e-8
