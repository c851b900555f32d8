"""Constants folded into the convolutions: an exact rewrite. Int8 has no layer that only scales or shifts."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from edsr_int8.errors import InputError
from edsr_int8.quantization.ir.layers import (
    IMAGE,
    ConstantPlane,
    Conv,
    Gain,
    Layer,
    Network,
    Shift,
    consumers,
)

PLANE = "image.plane"
WHITE = 255  # the largest value on the image's grid: the plane's weights are the smallest it allows


def fold(network: Network) -> Network:
    """Fold res_scale and the mean into the convolutions: Conv, Add, PixelShuffle and ConstantPlane remain.

    Equal to `network` on every pixel, borders included, to 1e-9 grey levels in float64.
    InputError where a constant has no convolution to go into.
    """
    folded = fold_mean(fold_res_scale(network))
    for layer in folded.layers:
        if isinstance(layer, Gain | Shift):
            raise InputError(f"{layer.name}: its constant has no convolution to go into; int8 cannot run it")
    return folded


def fold_res_scale(network: Network) -> Network:
    """A convolution and a constant factor after it -> a convolution with scaled weights and bias."""

    def scaled(conv: Conv, gain: np.ndarray) -> Conv:
        return replace(conv, weight=conv.weight * gain.reshape(-1, 1, 1, 1), bias=conv.bias * gain)

    return _absorb(network, Gain, scaled)


def fold_mean(network: Network) -> Network:
    """The output's mean -> the last convolution's bias; the input's -> a constant plane beside the image.

    The input's mean in a bias would be wrong at the border: the convolution pads the shifted image with
    zeros, so there some weights see no mean. Instead the image gets one more channel, WHITE in every pixel
    and zero-padded as the image is, with weights -weight * mean / WHITE. It is on the image's own grid
    (scale 1, zero point 0), so it needs no calibration, and it costs one input channel in the smallest
    convolution. (Padding the image with its mean would be exact too, but the mean is no whole number, so
    uint8 cannot hold it.)
    """

    def shifted(conv: Conv, shift: np.ndarray) -> Conv:
        return replace(conv, bias=conv.bias + shift)

    network = _absorb(network, Shift, shifted)
    shifts = {s.name: s for s in network.layers if isinstance(s, Shift) and s.inputs == (IMAGE,)}
    return replace(network, layers=tuple(_with_plane(layer, shifts) for layer in network.layers))


def _with_plane(layer: Layer, shifts: dict[str, Shift]) -> Layer:
    """`layer`, reading the image and its plane in place of the shifted image."""
    if layer.name in shifts:
        return ConstantPlane(PLANE, layer.inputs, WHITE)
    if isinstance(layer, Conv) and layer.inputs[0] in shifts:
        shift = np.broadcast_to(shifts[layer.inputs[0]].constant.astype(np.float64), layer.weight.shape[1])
        of_plane = np.tensordot(layer.weight, shift / WHITE, ([1], [0]))[:, None]
        weight = np.concatenate([layer.weight, of_plane], axis=1)
        return replace(layer, inputs=(PLANE,), weight=weight, expected=np.append(-shift, WHITE))
    return layer


def _absorb(
    network: Network, kind: type[Gain] | type[Shift], into: Callable[[Conv, np.ndarray], Conv]
) -> Network:
    """Merge each layer of `kind` into the convolution before it, if that has no other consumer."""
    counts = consumers(network.layers)
    layers: dict[str, Layer] = {}
    merged: dict[str, str] = {}
    for layer in network.layers:
        renamed = replace(layer, inputs=tuple(merged.get(name, name) for name in layer.inputs))
        conv = layers.get(renamed.inputs[0])
        alone = counts[layer.inputs[0]] == 1
        if isinstance(renamed, kind) and isinstance(conv, Conv) and alone and conv.linear:
            layers[conv.name] = into(conv, renamed.constant.astype(np.float64))
            merged[layer.name] = conv.name
        else:
            layers[layer.name] = renamed
    return replace(network, layers=tuple(layers.values()))
