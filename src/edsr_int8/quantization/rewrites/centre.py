"""The image centred, so that zero point 0 serves it too: an exact rewrite for symmetric schemes.

Grey levels 0..255 become values -128..127, which int8 holds without a zero point. The convolutions of the
image then miss 128 inside the image, and nothing beyond its border, where they pad with zeros: a constant in
the bias would be wrong there, and the constant plane, which is padded as the image is, makes up for it.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from edsr_int8.errors import InputError
from edsr_int8.quantization.ir.grid import MIDDLE
from edsr_int8.quantization.ir.layers import (
    IMAGE,
    ConstantPlane,
    Conv,
    Layer,
    Network,
    output_tensors,
)
from edsr_int8.quantization.rewrites.fold import PLANE, WHITE


def centre_image(network: Network) -> Network:
    """The folded `network` for images of grey levels less 128, in and out.

    Equal on every pixel, borders included, to 1e-9 grey levels in float64. InputError where something else
    than a convolution reads the image or makes the output.
    """
    return replace(network, layers=tuple(_centred(network)), centre=MIDDLE)


def _centred(network: Network) -> Iterator[Layer]:
    image, made = {IMAGE, PLANE}, output_tensors(network)
    if not any(isinstance(layer, ConstantPlane) for layer in network.layers):
        yield ConstantPlane(PLANE, (IMAGE,), WHITE - MIDDLE)
    for layer in network.layers:
        if isinstance(layer, ConstantPlane):
            yield replace(layer, value=WHITE - MIDDLE)
            continue
        read = image & set(layer.inputs)
        if (read or layer.name in made) and not isinstance(layer, Conv) and layer.inputs[0] not in made:
            raise InputError(f"{layer.name}: a symmetric scheme takes the image through convolutions alone")
        if isinstance(layer, Conv) and read:
            layer = _of_centred_image(layer)
        if isinstance(layer, Conv) and layer.name in made:
            bias = layer.bias.astype(np.float64) - MIDDLE
            layer = replace(layer, bias=bias, low=layer.low - MIDDLE, high=layer.high - MIDDLE)
        yield layer


def _of_centred_image(conv: Conv) -> Conv:
    """`conv` of the image, or of the image and its plane -> the same of the centred image and its plane."""
    weight, expected = conv.weight.astype(np.float64), conv.expected
    if conv.inputs == (IMAGE,):
        weight = np.concatenate([weight, np.zeros_like(weight[:, :1])], axis=1)
    pixels, plane = weight[:, :-1], weight[:, -1:]
    moved = (WHITE * plane + MIDDLE * pixels.sum(axis=1, keepdims=True)) / (WHITE - MIDDLE)
    if expected is not None:
        expected = np.append(expected[:-1] - MIDDLE, WHITE - MIDDLE)
    return replace(conv, inputs=(PLANE,), weight=np.concatenate([pixels, moved], axis=1), expected=expected)
