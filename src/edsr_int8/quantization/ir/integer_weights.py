"""A convolution's weights and bias as integers."""

from dataclasses import dataclass

import numpy as np

from edsr_int8.quantization.ir.layers import Conv

LARGEST = 127  # int8, symmetric: -128 is not used
# The largest bias: it leaves room in int32 for the sum of products (2^25 at 256 channels of 3x3).
LARGEST_BIAS = 2**30


@dataclass(frozen=True, eq=False)
class IntegerConv:
    """weight (OIHW) = int8 code * scale of its output channel; bias = int32 code * scale * input scale."""

    weight: np.ndarray
    scales: np.ndarray  # float32, one for each output channel
    bias: np.ndarray


def round_conv(conv: Conv, input_scale: float, *, power_of_two: bool = False) -> IntegerConv:
    """Round weights and bias to the nearest integers, with one scale for each output channel.

    `power_of_two`: each scale is the least power of two that holds the channel's weights.

    Where the convolution knows the `expected` value of its inputs, the bias compensates what rounding the
    weights does to that value, so that the output is right on average.
    """
    largest = np.abs(conv.weight).max(axis=(1, 2, 3))
    # The second term keeps the bias of a channel with small or no weights within int32.
    scales = np.maximum(largest / LARGEST, np.abs(conv.bias) / (input_scale * LARGEST_BIAS))
    scales = np.where(scales < np.finfo(np.float32).tiny, 1, scales).astype(np.float32)
    if power_of_two:
        scales = np.exp2(np.ceil(np.log2(scales)))
    each = scales.astype(np.float64).reshape(-1, 1, 1, 1)
    weight = np.clip(np.rint(conv.weight / each), -LARGEST, LARGEST)
    bias = conv.bias
    if conv.expected is not None:
        bias = bias - np.tensordot((weight * each - conv.weight).sum(axis=(2, 3)), conv.expected, 1)
    codes = np.rint(bias / (each.reshape(-1) * input_scale))
    return IntegerConv(weight.astype(np.int8), scales, codes.astype(np.int32))
