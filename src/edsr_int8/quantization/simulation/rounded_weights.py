"""Weights put on their int8 grids in float, with gradients: straight-through."""

from typing import Any

import torch
from torch import Tensor

from edsr_int8.quantization.ir.integer_weights import LARGEST


class _Round(torch.autograd.Function):
    @staticmethod
    def forward(_: Any, value: Tensor, step: Tensor) -> Tensor:
        return (value / step).round_().mul_(step)

    @staticmethod
    def backward(_: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient, None


def rounded_weights(
    weight: Tensor, bias: Tensor, expected: Tensor | None, input_scale: Tensor, *, power_of_two: bool
) -> tuple[Tensor, Tensor]:
    """A convolution's weight and bias as ir/integer_weights.py rounds them, in float32, with gradients.

    `expected`: of each input, where the bias makes up for what rounding does to the weights on average.
    """
    step = (weight.detach().abs().amax(dim=(1, 2, 3), keepdim=True) / LARGEST).clamp(min=1e-12)
    if power_of_two:
        step = step.log2().ceil().exp2()
    rounded: Tensor = _Round.apply(weight, step)
    if expected is not None:
        error = (rounded.detach() - weight.detach()).sum(dim=(2, 3))
        bias = bias - error @ expected
    return rounded, _Round.apply(bias, step.reshape(-1) * input_scale)
