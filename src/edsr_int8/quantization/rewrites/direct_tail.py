"""What a collapsed tail may read straight from the features: exact, and without rounding on the way.

A collapsed tail is two convolutions: the first makes the parts of each output pixel, the second fetches each
part from a neighbour. Multiplied out, they are one convolution with a wider kernel, except at the border:
the second pads with zeros, so a neighbour outside the image adds nothing, though its kernel reaches back into
the image. These returning weights need the two steps, and those that would make the kernel wider
take them, too. All else is left to one convolution, which reads the features beside what it still fetches.

The picture itself then goes through no 8-bit tensor of few channels, and what is fetched is small: it has a
tenth of the noise.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from edsr_int8.quantization.ir.grid import Grid, Range
from edsr_int8.quantization.ir.layers import (
    Concat,
    Conv,
    Network,
    PixelShuffle,
    channel_counts,
    consumers,
    parts,
)
from edsr_int8.quantization.rewrites.channel_transform import linear_bases, transform_channels


@dataclass(frozen=True, eq=False)
class Tail:
    """first(features) -> last -> shuffle; channel i of `first` is read at the offset `places[i]` only."""

    first: Conv
    last: Conv
    shuffle: PixelShuffle
    places: tuple[tuple[int, int], ...]  # (row, column)


def direct_tail(network: Network) -> Network:
    """`network`, whose tail is collapsed, with a last convolution that reads the features themselves.

    Equal on every pixel, borders included, to 1e-9 grey levels in float64. Unchanged where there is no such
    tail.
    """
    tail = _tail(network)
    return network if tail is None else replace(network, layers=(*network.layers[:-3], *_rewired(tail)))


def _tail(network: Network) -> Tail | None:
    if len(network.layers) < 3:
        return None
    first, last, shuffle = network.layers[-3:]
    if not (
        isinstance(first, Conv)
        and isinstance(last, Conv)
        and isinstance(shuffle, PixelShuffle)
        and first.linear
        and last.inputs == (first.name,)
        and consumers(network.layers)[first.name] == 1
        and _signed(network, first.inputs[0])
    ):
        return None
    middle = [n // 2 for n in last.weight.shape[2:]]
    used = np.abs(last.weight).max(axis=0) > 0
    if (used.sum(axis=(1, 2)) != 1).any():
        return None
    places = ((int(y) - middle[0], int(x) - middle[1]) for _, y, x in np.argwhere(used))
    return Tail(first, last, shuffle, tuple(places))


def _signed(network: Network, name: str) -> bool:
    """Whether the grid of the tensor, or of its first part, has values of both signs, as it needs."""
    features = next(iter(parts(network)[name]))
    return any(features in basis for basis in linear_bases(network))


def _rewired(tail: Tail) -> Iterator[Concat | Conv | PixelShuffle]:
    first, last = tail.first, tail.last
    weights = first.weight.astype(np.float64)
    sizes = tuple(max(a, b) for a, b in zip(weights.shape[2:], last.weight.shape[2:], strict=True))
    fetched = (
        weights * np.stack([_fetched(place, weights.shape[2:], sizes) for place in tail.places])[:, None]
    )
    kept = [i for i, place in enumerate(tail.places) if place != (0, 0)]
    own = np.setdiff1d(np.arange(len(weights)), kept)
    sums = last.weight.astype(np.float64).sum(axis=(2, 3))  # each is read at one place
    direct = replace(
        last,
        inputs=first.inputs,
        weight=_multiplied_out(tail, weights - fetched, sums, sizes),
        bias=last.bias + sums[:, own] @ first.bias[own],
        expected=first.expected,
    )
    if not kept:
        yield from (direct, tail.shuffle)
        return
    join = f"{last.name}.join"
    pads = [((a - b) // 2,) * 2 for a, b in zip(sizes, last.weight.shape[2:], strict=True)]
    reading = np.pad(last.weight[:, kept].astype(np.float64), ((0, 0), (0, 0), *pads))
    expected = None if first.expected is None else np.append(first.expected, np.zeros(len(kept)))
    yield replace(first, weight=fetched[kept], bias=first.bias[kept])
    yield Concat(join, (*first.inputs, first.name))
    yield replace(
        direct, inputs=(join,), weight=np.concatenate([direct.weight, reading], axis=1), expected=expected
    )
    yield tail.shuffle


def _fetched(place: tuple[int, int], kernel: tuple[int, ...], sizes: tuple[int, ...]) -> np.ndarray:
    """Which weights of a kernel at `place` lie on the way back from there, or beyond a kernel of `sizes`."""
    rows, columns = (
        (offsets * there < 0) | (np.abs(offsets + there) > size // 2)
        for offsets, there, size in zip(map(_offsets, kernel), place, sizes, strict=True)
    )
    return np.asarray(rows[:, None] | columns[None])


def _offsets(length: int) -> np.ndarray:
    return np.arange(length) - length // 2


def _multiplied_out(tail: Tail, first: np.ndarray, sums: np.ndarray, sizes: tuple[int, ...]) -> np.ndarray:
    """The weights, OIHW with kernels of `sizes`, of `first` and the `sums` of its channels as one."""
    moved = np.zeros((*first.shape[:2], *sizes))
    for i, y, x in np.ndindex(len(first), *first.shape[2:]):
        row = tail.places[i][0] + y - first.shape[2] // 2 + sizes[0] // 2
        column = tail.places[i][1] + x - first.shape[3] // 2 + sizes[1] // 2
        if 0 <= row < sizes[0] and 0 <= column < sizes[1]:
            moved[i, :, row, column] = first[i, :, y, x]
    return np.einsum("oc,cihw->oihw", sums, moved)


def filling(network: Network, grids: Mapping[str, Grid], ranges: Mapping[str, Range]) -> Network:
    """`network`, in which what is fetched fills the grid that it shares with the features, unclipped.

    `ranges`: those that the tensors have of themselves. Exact: channels are multiplied, and divided where
    they are read. `grids` stay as they are: one without values of a sign clips those that are fetched.
    """
    for name in fetching(network):
        (low, high), (lowest, highest) = ranges[name], grids[name].range
        room = [there / here for here, there in ((low, lowest), (high, highest)) if here and there]
        gain = min(room, default=1.0)
        network = transform_channels(network, frozenset({name}), gain * np.eye(channel_counts(network)[name]))
    return network


def fetching(network: Network) -> list[str]:
    """The tensors that the last convolution reads beside the features; one or none."""
    joins = [x.inputs[-1] for x in network.layers if isinstance(x, Concat)]
    return [x.name for x in network.layers if isinstance(x, Conv) and x.name in joins]
