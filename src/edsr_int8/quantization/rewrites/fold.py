"""Rewrites of the float network that leave its output as it is and int8 less to lose."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from edsr_int8.errors import InputError
from edsr_int8.quantization.ir.layers import IMAGE, Conv, Gain, Layer, Network, Plane, Shift, users

PLANE = "image.plane"
WHITE = 255  # the largest value on the image's grid: the plane's weights are the smallest it allows


def fold(network: Network) -> Network:
    """Fold res_scale and the mean into the convolutions: Conv, Sum, Shuffle and Plane are all that is left.

    Equal to `network` on every pixel, borders included, to 1e-9 grey levels in float64.
    InputError where a constant has no convolution to go into.
    """
    folded = fold_mean(fold_res_scale(network))
    for layer in folded.layers:
        if isinstance(layer, Gain | Shift):
            raise InputError(f"{layer.name}: its constant has no convolution to go into; int8 cannot run it")
    return folded


def fold_res_scale(network: Network) -> Network:
    """A convolution, then times a constant -> a convolution with weights and bias that much larger."""

    def larger(conv: Conv, gain: np.ndarray) -> Conv:
        return replace(conv, weight=conv.weight * gain.reshape(-1, 1, 1, 1), bias=conv.bias * gain)

    return _absorb(network, Gain, larger)


def fold_mean(network: Network) -> Network:
    """The output's mean -> the last convolution's bias; the input's -> a constant plane beside the image.

    The input's mean in a bias would be wrong at the border: there the convolution pads the shifted
    image with zeros, so some taps see no mean. Instead the image gets one channel more, WHITE
    everywhere and padded by zeros as the image is, with taps -weight * mean / WHITE. It lies on the
    image's own grid (scale 1, zero point 0), so it needs no calibration, and it costs one input
    channel in the smallest convolution. (Padding the image with its mean would be exact too, but the
    mean is no whole number, so uint8 cannot hold it.)
    """

    def brighter(conv: Conv, shift: np.ndarray) -> Conv:
        return replace(conv, bias=conv.bias + shift)

    network = _absorb(network, Shift, brighter)
    shifts = {s.name: s for s in network.layers if isinstance(s, Shift) and s.inputs == (IMAGE,)}
    return replace(network, layers=tuple(_planed(layer, shifts) for layer in network.layers))


def _planed(layer: Layer, shifts: dict[str, Shift]) -> Layer:
    """`layer` reading the image and its plane in place of the shifted image."""
    if layer.name in shifts:
        return Plane(PLANE, layer.inputs, WHITE)
    if isinstance(layer, Conv) and layer.inputs[0] in shifts:
        shift = np.broadcast_to(shifts[layer.inputs[0]].constant.astype(np.float64), layer.weight.shape[1])
        taps = np.tensordot(layer.weight, shift / WHITE, ([1], [0]))[:, None]
        weight = np.concatenate([layer.weight, taps], axis=1)
        return replace(layer, inputs=(PLANE,), weight=weight, expected=np.append(-shift, WHITE))
    return layer


def _absorb(
    network: Network, kind: type[Gain] | type[Shift], into: Callable[[Conv, np.ndarray], Conv]
) -> Network:
    """Merge each layer of `kind` into the convolution before it, where nothing else reads that."""
    readers = users(network.layers)
    layers: dict[str, Layer] = {}
    merged: dict[str, str] = {}
    for layer in network.layers:
        renamed = replace(layer, inputs=tuple(merged.get(name, name) for name in layer.inputs))
        conv = layers.get(renamed.inputs[0])
        alone = readers[layer.inputs[0]] == 1
        if isinstance(renamed, kind) and isinstance(conv, Conv) and alone and conv.linear:
            layers[conv.name] = into(conv, renamed.constant.astype(np.float64))
            merged[layer.name] = conv.name
        else:
            layers[layer.name] = renamed
    return replace(network, layers=tuple(layers.values()))
