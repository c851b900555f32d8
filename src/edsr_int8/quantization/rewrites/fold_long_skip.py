"""The long skip without rounding: an exact rewrite that carries the image around the trunk.

An EDSR ends its trunk on a sum: what the first convolution makes of the image, plus what the blocks add.
That sum is the picture itself, and on one uint8 grid most of what int8 loses is lost there. But the
convolution behind the sum is linear, and so is the first one: the two in a row are a convolution of the
image, whose pixels are uint8 already. So the sum is left out: its reader reads the trunk's last
convolution and, as more input channels, the pixels around each pixel. Nothing of the image is rounded on
the way, and the trunk's output, relieved of it, gets a grid of its own.

The first convolution pads the image with zeros, and the reader pads the sum with zeros; to be exact at the
border, where these differ, each pixel's neighbours are channels of their own in place of a larger kernel.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from edsr_int8.quantization.calibration.range_estimators import IMAGE_GRID, Grid
from edsr_int8.quantization.ir.layers import IMAGE, Conv, Join, Layer, Network, Plane, Sum, Taps, users
from edsr_int8.quantization.rewrites.fold import PLANE, WHITE

TAPS, JOIN = "image.taps", "image.join"
# Of the grid that taps are joined with: at least this much above zero of what there is below, as their
# constant plane needs some; and the codes below zero that this allows.
ROOM = 1 / 3
MOST_BELOW = int(WHITE / (1 + ROOM))


@dataclass(frozen=True, eq=False)
class LongSkip:
    """head(image) + end(...), read by one convolution and by nothing else."""

    head: Conv
    end: Conv
    sum: Sum
    reader: Conv


def long_skip(network: Network) -> LongSkip | None:
    """Where the network has one. MDSR's last sum is no convolution of the image: there is none."""
    sums = [layer for layer in network.layers if isinstance(layer, Sum)]
    if not sums or joined(network):
        return None
    last, layers, readers = sums[-1], {x.name: x for x in network.layers}, users(network.layers)
    # The first convolution of the image comes first in the order of the layers.
    head, end = (layers.get(name) for name in sorted(last.inputs, key=list(layers).index))
    reader = next((x for x in network.layers if last.name in x.inputs), None)
    if (
        isinstance(head, Conv)
        and isinstance(end, Conv)
        and isinstance(reader, Conv)
        and head.linear
        and end.linear
        and readers[last.name] == readers[end.name] == 1
        and head.inputs[0] in (IMAGE, PLANE)
    ):
        return LongSkip(head, end, last, reader)
    return None


def bypass_trunk(network: Network, floats: Collection[str] = ()) -> Network:
    """`network` with its long skip, where it has one, led around the trunk.

    Not so where all of the skip is among `floats`, its two ends and the sum: there it is not rounded.
    Equal on every pixel, borders included, to 1e-9 grey levels in float64. The taps are on the image's
    grid; `regrid` brings them on the one of the tensor that they are joined with.
    """
    skip = long_skip(network)
    if skip is None or {skip.head.name, skip.sum.name, skip.reader.name} <= set(floats):
        return network
    head = skip.head.weight.astype(np.float64)
    if skip.head.inputs[0] == IMAGE:  # no mean: the plane is only needed for the bias
        head = np.concatenate([head, np.zeros_like(head[:, :1])], axis=1)
    plane = head.shape[1] - 1
    kernel = (head.shape[2], head.shape[3])
    middle = (plane, kernel[0] // 2, kernel[1] // 2)
    used = np.abs(head).max(axis=0) > 0
    used[middle] = True
    taps = tuple((int(c), int(y), int(x)) for c, y, x in np.argwhere(used))
    columns = head[:, used]  # features x taps
    # The plane is white wherever there is image, so its own tap brings the bias there, and only there.
    columns[:, taps.index(middle)] += skip.head.bias.astype(np.float64) / WHITE
    reader = skip.reader.weight.astype(np.float64)
    more = np.einsum("ofij,ft->otij", reader, columns)
    expected = None
    if skip.head.expected is not None:
        expected = np.concatenate([np.zeros(reader.shape[1]), [skip.head.expected[tap[0]] for tap in taps]])
    gathered = Taps(TAPS, (PLANE,), taps, plane + 1, kernel, IMAGE_GRID.scale, IMAGE_GRID.zero_point)
    reading = replace(
        skip.reader, inputs=(JOIN,), weight=np.concatenate([reader, more], axis=1), expected=expected
    )
    return replace(network, layers=tuple(_rewired(network, skip, gathered, reading)))


def _rewired(network: Network, skip: LongSkip, taps: Taps, reader: Conv) -> Iterator[Layer]:
    if not any(isinstance(layer, Plane) for layer in network.layers):
        yield Plane(PLANE, (IMAGE,), WHITE)
    for layer in network.layers:
        if layer is skip.sum:
            yield taps
            yield Join(JOIN, (skip.end.name, TAPS))
        elif layer is skip.reader:
            yield reader
        else:
            yield layer


def joined(network: Network) -> str | None:
    """The tensor that taps are joined with."""
    return next((x.inputs[0] for x in network.layers if isinstance(x, Join)), None)


def reads_join(conv: Conv) -> bool:
    """Whether taps are among the input channels of `conv`."""
    return conv.inputs == (JOIN,)


def regrid(network: Network, grids: Mapping[str, Grid]) -> Network:
    """`network` with its taps, where it has some, on the grid of the tensor that they are joined with.

    Exact: value' = scale' * (code - zero point') is linear in value, so the weights that read it can make
    up for it; the constant goes by way of the plane's own tap. ValueError where that grid has no values
    above zero, KeyError where there is none.
    """
    taps = next((x for x in network.layers if isinstance(x, Taps)), None)
    name = joined(network)
    if taps is None or name is None:
        return network
    grid = grids[name]
    if grid.zero_point >= WHITE:
        raise ValueError(f"{name}: a grid without values above zero has no code for the plane")
    after = replace(taps, scale=grid.scale, zero_point=grid.zero_point)
    reader = next(x for x in network.layers if isinstance(x, Conv) and reads_join(x))
    weight = reader.weight.copy()
    first = weight.shape[1] - len(taps.taps)
    of_taps = weight[:, first:]
    constant = taps.scale * (after.zero_point - taps.zero_point) * of_taps.sum(axis=1)
    weight[:, first:] = of_taps * (taps.scale / after.scale)
    weight[:, first + taps.white] += constant / (after.scale * (WHITE - after.zero_point))
    expected = reader.expected
    if expected is not None:
        moved = after.scale * (expected[first:] / taps.scale + taps.zero_point - after.zero_point)
        expected = np.concatenate([expected[:first], moved])
    new_reader = replace(reader, weight=weight, expected=expected)
    changed = {taps.name: after, reader.name: new_reader}
    return replace(network, layers=tuple(changed.get(x.name, x) for x in network.layers))
