"""Mixed precision: which layers stay in float, and what share of the work that is."""

import fnmatch
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

from edsr_int8.errors import InputError
from edsr_int8.quantization.analysis.losses import alone, read_losses
from edsr_int8.quantization.ir.layers import (
    Conv,
    Layer,
    Network,
    Shuffle,
    Sum,
    Taps,
    measured,
    read_network,
    resolutions,
)
from edsr_int8.quantization.rewrites.collapse_tail import narrow
from edsr_int8.quantization.rewrites.fold import fold
from edsr_int8.quantization.rewrites.fold_long_skip import bypass_trunk, reads_join

INT8_BYTES, FLOAT_BYTES = 1, 4


def floats_of(
    float_model: Path,
    losses: Path,
    patterns: Sequence[str],
    budget: float,
    *,
    bypass: bool = False,
    narrowed: bool = False,
) -> frozenset[str]:
    """The layers of `float_model`, folded, that stay in float: those named, or the best within `budget`.

    With `bypass`, layers of the network that `bypass_trunk` makes with them; a sum that it leaves out is
    no layer of that any more, though it may be named. `narrowed`: with the work of what `narrow` makes,
    and the losses of what it began with.
    """
    if not patterns and not budget:
        return frozenset()

    def choose(network: Network) -> frozenset[str]:
        found = read_losses(losses)
        return within_budget(network, alone(found, "tensor"), alone(found, "weights"), budget)

    network = fold(read_network(float_model))
    network = narrow(network) if narrowed else network
    chosen = named_layers(network, patterns) if patterns else choose(network)
    around = bypass_trunk(network, chosen) if bypass else network
    if around is network:
        return chosen
    return chosen & {layer.name for layer in around.layers} if patterns else choose(around)


def named_layers(network: Network, patterns: Sequence[str]) -> frozenset[str]:
    """Convolutions and sums that a pattern names (`body.*.conv2`). InputError: one that names none."""
    names = [layer.name for layer in network.layers if isinstance(layer, Conv | Sum)]
    found: set[str] = set()
    for pattern in patterns:
        if not (matches := fnmatch.filter(names, pattern)):
            raise InputError(f"float_layers: {pattern!r} names no layer; there are {', '.join(names)}")
        found |= set(matches)
    return frozenset(found)


def within_budget(
    network: Network, tensors: Mapping[str, float], weights: Mapping[str, float], budget: float
) -> frozenset[str]:
    """The layers whose rounding costs the picture most for their work, up to a `budget` share of all MACs.

    `tensors` and `weights`: what rounding a tensor, or a convolution's weights, costs alone, in any unit.
    Sums come first: in float they cost no multiplication, as the convolutions around them still read
    and give int8. Then, one at a time, the convolution that takes away most loss for its MACs, with
    those before it in float: its weights', and that of tensors, by how many of their readers need not
    read them rounded any more. What reads a join, which is of codes, stays in int8.
    """
    macs = conv_macs(network)
    weights = {x.name: weights[x.name] for x in network.layers if isinstance(x, Conv) and not reads_join(x)}
    chosen = frozenset(layer.name for layer in network.layers if isinstance(layer, Sum))
    left = budget * sum(macs.values())

    def loss(floats: frozenset[str]) -> float:
        of_tensors = sum(share * tensors.get(name, 0.0) for name, share in rounded(network, floats).items())
        return of_tensors + sum(weights[name] for name in weights if name not in floats)

    while fitting := [n for n in weights if n not in chosen and macs[n] <= left]:
        before = loss(chosen)
        saved = {name: (before - loss(chosen | {name})) / macs[name] for name in fitting}
        best = min(fitting, key=lambda name: (-saved[name], name))
        chosen |= {best}
        left -= macs[best]
    return chosen


def rounded(network: Network, floats: Collection[str]) -> dict[str, float]:
    """Of each measured tensor the share of its readers that read it rounded.

    All do where an int8 layer gives it; else only int8 convolutions and joins do.
    """
    found = {}
    for name in measured(network):
        readers = list(_readers(network, name))
        low = [x for x in readers if name not in floats or (not isinstance(x, Sum) and x.name not in floats)]
        found[name] = len(low) / len(readers)
    return found


def _readers(network: Network, name: str) -> Iterator[Layer]:
    """Convolutions, sums and joins that read the tensor `name`, as it is or shuffled."""
    for layer in (x for x in network.layers if name in x.inputs):
        if isinstance(layer, Shuffle):
            yield from _readers(network, layer.name)
        else:
            yield layer


def conv_macs(network: Network) -> dict[str, float]:
    """Multiply-accumulates of each convolution for a pixel of the image; taps are one, too."""
    finer = resolutions(network)
    convs = (x.as_conv() if isinstance(x, Taps) else x for x in network.layers)
    return {x.name: finer[x.name] ** 2 * x.weight.size for x in convs if isinstance(x, Conv)}


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
