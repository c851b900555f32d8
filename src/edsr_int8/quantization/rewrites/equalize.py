"""Cross-layer equalization inside residual blocks: an exact rewrite that lets every channel fill the range.

Nagel et al. 2019, section 4.1 (https://arxiv.org/abs/1906.04721): a network with Relu is positively
homogeneous, so a channel may be scaled up if its consumers scale it down again. One grid serves all channels
of a tensor, so a channel that uses little of the range is rounded coarsely.
"""

from dataclasses import replace

import numpy as np

from edsr_int8.quantization.ir.layers import Conv, Layer, Network


def equalize(network: Network, peaks: dict[str, np.ndarray], *, limit: float = 4.0) -> Network:
    """Scale the channels after each Relu up to the largest channel's peak, by `limit` at most.

    `peaks`: the largest value of each channel of each tensor. Beyond `limit`, values that calibration seldom
    saw would be clipped on other images. The output stays the same.
    """
    for layer in network.layers:
        readers = [x for x in network.layers if layer.name in x.inputs]
        alone = all(isinstance(x, Conv) for x in readers)
        if alone and isinstance(layer, Conv) and (layer.low, layer.high) == (0, np.inf):
            peak = peaks[layer.name]
            factors = np.clip(peak.max() / np.maximum(peak, np.finfo(np.float32).tiny), 1, limit)
            network = _scaled(network, layer.name, factors)
    return network


def _scaled(network: Network, name: str, factors: np.ndarray) -> Network:
    """The tensor `name` times positive `factors`, channel by channel; its consumers divide by them."""

    def changed(layer: Layer) -> Layer:
        if isinstance(layer, Conv) and layer.name == name:
            weight = layer.weight * factors.reshape(-1, 1, 1, 1)
            return replace(layer, weight=weight, bias=layer.bias * factors)
        if isinstance(layer, Conv) and layer.inputs == (name,):
            return replace(layer, weight=layer.weight / factors.reshape(1, -1, 1, 1))
        return layer

    return replace(network, layers=tuple(map(changed, network.layers)))
