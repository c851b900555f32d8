"""Mixed precision: which layers stay in float."""

import fnmatch
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

from edsr_int8.errors import InputError
from edsr_int8.quantization.analysis.losses import alone, read_losses
from edsr_int8.quantization.ir.cost import conv_macs
from edsr_int8.quantization.ir.layers import (
    Add,
    Conv,
    Layer,
    Network,
    PixelShuffle,
    convolutions,
    integer_only,
)
from edsr_int8.quantization.ir.scale_groups import calibrated
from edsr_int8.quantization.recipe import Recipe
from edsr_int8.quantization.rewrites.fold_long_skip import fold_long_skip
from edsr_int8.quantization.rewrites.read_image import read_image


def high_precision_layers(network: Network, recipe: Recipe, losses: Path) -> frozenset[str]:
    """The layers of the folded `network` that stay in float: those named, or the best within the budget.

    Where the recipe folds the long skip, layers of the network that this gives; a sum that it removes is no
    layer of that network any more, though it may be named. `losses`: the table of the sensitivity stage.
    InputError: a pattern names no layer, or the table is damaged.
    """

    def choose(network: Network) -> frozenset[str]:
        if recipe.high_precision_layers:
            return named_layers(network, recipe.high_precision_layers)
        found = read_losses(losses)
        budget = recipe.high_precision_budget * (share_left(network) if recipe.fold_head else 1)
        return within_budget(network, alone(found, "tensor"), alone(found, "weights"), budget)

    chosen = choose(network)
    folded = fold_long_skip(network, chosen) if recipe.fold_long_skip else network
    if folded is network:
        return chosen
    if recipe.high_precision_layers:
        return chosen & {layer.name for layer in folded.layers}
    return choose(folded)


def named_layers(network: Network, patterns: Sequence[str]) -> frozenset[str]:
    """Convolutions and sums whose names match a pattern (`body.*.conv2`). InputError: one matches none."""
    names = [layer.name for layer in network.layers if isinstance(layer, Conv | Add)]
    found: set[str] = set()
    for pattern in patterns:
        if not (matches := fnmatch.filter(names, pattern)):
            raise InputError(
                f"high_precision_layers: {pattern!r} names no layer; there are {', '.join(names)}"
            )
        found |= set(matches)
    return frozenset(found)


def within_budget(
    network: Network, tensors: Mapping[str, float], weights: Mapping[str, float], budget: float
) -> frozenset[str]:
    """The layers whose rounding costs the picture most for their work, up to a `budget` share of all MACs.

    `tensors` and `weights`: the loss of rounding a tensor, or a convolution's weights, alone, in any unit.
    Sums come first: in float they cost no multiplication, as the convolutions around them still read and
    write int8. Then, one at a time, comes the convolution that saves most loss for its MACs, given those
    chosen before it: the loss of its weights, and that of each tensor in proportion to the consumers that no
    longer read the quantized value.
    """
    macs, fixed = conv_macs(network), integer_only(network)
    weights = {x.name: weights[x.name] for x in network.layers if isinstance(x, Conv) and x.name not in fixed}
    chosen = frozenset(layer.name for layer in network.layers if isinstance(layer, Add))
    left = budget * sum(macs.values())

    def loss(high_precision: frozenset[str]) -> float:
        shares = quantized_consumers(network, high_precision)
        of_tensors = sum(share * tensors.get(name, 0.0) for name, share in shares.items())
        return of_tensors + sum(weights[name] for name in weights if name not in high_precision)

    while fitting := [n for n in weights if n not in chosen and macs[n] <= left]:
        before = loss(chosen)
        saved = {name: (before - loss(chosen | {name})) / macs[name] for name in fitting}
        best = min(fitting, key=lambda name: (-saved[name], name))
        chosen |= {best}
        left -= macs[best]
    return chosen


def share_left(network: Network) -> float:
    """The MACs of the network that reads the image (rewrites/read_image.py), as a share of all; at most 1."""
    reading = read_image(network, {next(convolutions(network)).name})
    before, after = (sum(conv_macs(each).values()) for each in (network, reading))
    return min(1.0, after / before)


def quantized_consumers(network: Network, high_precision: Collection[str]) -> dict[str, float]:
    """For each calibrated tensor, the fraction of its consumers that read the quantized value.

    All of them where an int8 layer produces it; else those that are neither high precision nor a sum.
    """
    found = {}
    for name in calibrated(network):
        all_consumers = list(_consumers(network, name))
        low = [
            x
            for x in all_consumers
            if name not in high_precision or not (isinstance(x, Add) or x.name in high_precision)
        ]
        found[name] = len(low) / len(all_consumers)
    return found


def _consumers(network: Network, name: str) -> Iterator[Layer]:
    """The layers that read the tensor `name`, directly or through a shuffle."""
    for layer in (x for x in network.layers if name in x.inputs):
        if isinstance(layer, PixelShuffle):
            yield from _consumers(network, layer.name)
        else:
            yield layer
