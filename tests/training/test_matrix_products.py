"""Convolutions as matrix products; the authority is torch's own convolution, in float64."""

import pytest
import torch
from torch import nn

from edsr_int8.training.matrix_products import convolve


@pytest.mark.parametrize(
    ("inputs", "outputs", "kernel"), [(3, 8, 3), (8, 3, 3), (8, 12, 3), (6, 3, 1), (3, 4, 5)]
)
def test_values_and_gradients_are_those_of_a_convolution(inputs: int, outputs: int, kernel: int) -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2).double()
    x = torch.randn(2, inputs, 5, 7, dtype=torch.float64, requires_grad=True)
    found, wanted = convolve(layer, x), layer(x)
    signs = torch.randn_like(wanted)
    leaves = [x, *layer.parameters()]
    torch.testing.assert_close(found, wanted)
    for one, other in zip(
        *(torch.autograd.grad((y * signs).sum(), leaves) for y in (found, wanted)), strict=True
    ):
        torch.testing.assert_close(one, other)
