"""Mixed precision: which layers stay in float, and what share of the work that is."""

import fnmatch
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from edsr_int8.errors import InputError
from edsr_int8.quantization.losses import layer_losses, read_losses
from edsr_int8.quantization.network import Conv, Layer, Network, Sum, read_network, resolutions
from edsr_int8.quantization.rewrite import fold

INT8_BYTES, FLOAT_BYTES = 1, 4


def floats_of(float_model: Path, losses: Path, patterns: Sequence[str], budget: float) -> frozenset[str]:
    """The layers of `float_model`, folded, that stay in float: those named, or the best within `budget`."""
    if not patterns and not budget:
        return frozenset()
    network = fold(read_network(float_model))
    if patterns:
        return named_layers(network, patterns)
    return within_budget(network, layer_losses(read_losses(losses)), budget)


def named_layers(network: Network, patterns: Sequence[str]) -> frozenset[str]:
    """Convolutions and sums that a pattern names (`body.*.conv2`). InputError: one that names none."""
    names = [layer.name for layer in network.layers if isinstance(layer, Conv | Sum)]
    found: set[str] = set()
    for pattern in patterns:
        if not (matches := fnmatch.filter(names, pattern)):
            raise InputError(f"float_layers: {pattern!r} names no layer; there are {', '.join(names)}")
        found |= set(matches)
    return frozenset(found)


def within_budget(network: Network, losses: Mapping[str, float], budget: float) -> frozenset[str]:
    """The layers whose rounding costs the picture most for their work, up to a `budget` share of all MACs.

    Sums come first: in float they cost no multiplication, as the convolutions around them still read
    and give int8. Then the convolutions with the largest loss for their MACs, where `losses` is what
    rounding a convolution's weights and its output alone costs, in any unit.
    """
    macs = conv_macs(network)
    chosen = {layer.name for layer in network.layers if isinstance(layer, Sum)}
    left = budget * sum(macs.values())
    for name in sorted(macs, key=lambda name: (-losses[name] / macs[name], name)):
        if macs[name] <= left:
            chosen.add(name)
            left -= macs[name]
    return frozenset(chosen)


def conv_macs(network: Network) -> dict[str, float]:
    """Multiply-accumulates of each convolution for a pixel of the image."""
    finer = resolutions(network)
    return {x.name: finer[x.name] ** 2 * x.weight.size for x in network.layers if isinstance(x, Conv)}


def shares(network: Network, floats: Collection[str]) -> tuple[float, float]:
    """Of all MACs, those of convolutions with any input or output above 8 bits; and of all bytes that
    layers give, those above 8 bits, where a float32 counts 4."""
    macs, finer = conv_macs(network), resolutions(network)
    above = sum(macs[name] for name in macs if name in floats)
    elements = {
        x.name: finer[x.name] ** 2 * _channels(x, network)
        for x in network.layers
        if isinstance(x, Conv | Sum)
    }
    high = sum(FLOAT_BYTES * elements[name] for name in elements if name in floats)
    low = sum(INT8_BYTES * elements[name] for name in elements if name not in floats)
    return above / sum(macs.values()), high / (high + low)


def _channels(layer: Layer, network: Network) -> int:
    makers = {x.name: x for x in network.layers}
    while not isinstance(layer, Conv):
        layer = makers[layer.inputs[0]]
    return len(layer.bias)
