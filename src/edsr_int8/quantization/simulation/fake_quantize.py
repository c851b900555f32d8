"""Values put on a grid of codes in float, with gradients: LSQ's, and the zero point's beside it.

https://arxiv.org/abs/1902.08153 (scales), https://arxiv.org/abs/2004.09576 (zero points).
"""

from typing import Any

import torch
from torch import Tensor

from edsr_int8.quantization.ir.grid import STEPS


class _FakeQuantize(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, value: Tensor, scale: Tensor, zero_point: Tensor, codes: int) -> Tensor:
        zero, step = float(zero_point.round().clamp(0, codes)), float(scale)
        # In place: a pass over memory costs more than its arithmetic.
        quantized = value.mul(1 / step).round_().clamp_(-zero, codes - zero).mul_(step)
        context.save_for_backward(value, quantized)
        context.step, context.ends = step, ((-0.5 - zero) * step, (codes + 0.5 - zero) * step)
        return quantized

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        value, quantized = context.saved_tensors
        passed = torch.ops.aten.hardtanh_backward(gradient, value, *context.ends)
        of_scale = (gradient * quantized).addcmul_(passed, value, value=-1).sum() / context.step
        of_zero_point = (passed.sum() - gradient.sum()) * context.step
        return passed, of_scale.reshape(1), of_zero_point.reshape(1), None


def fake_quantize(value: Tensor, scale: Tensor, zero_point: Tensor, *, codes: int = STEPS) -> Tensor:
    """`value` on the grid of `scale` and `zero_point` (one element each), clipped to codes 0..`codes`.

    The value gets the gradient where it is not clipped. The scale gets it times the rounding error in steps
    or, where the value is clipped, times the end's distance from the zero point. The zero point gets it where
    the value is clipped.
    """
    quantized: Tensor = _FakeQuantize.apply(value, scale, zero_point, codes)
    return quantized
