"""A convolution that keeps height and width: beyond the border are zeros, or the image again."""

from torch import Tensor
from torch.nn import functional


def convolved(value: Tensor, weight: Tensor, bias: Tensor | None, *, periodic: bool) -> Tensor:
    """NCHW `value` by OIHW `weight`, stride 1. `periodic`: what is beyond a border is at the opposite one."""
    rows, columns = (n // 2 for n in weight.shape[2:])
    if not periodic:
        return functional.conv2d(value, weight, bias, padding=(rows, columns))
    wrapped = functional.pad(value, (columns, columns, rows, rows), mode="circular")
    return functional.conv2d(wrapped, weight, bias)
