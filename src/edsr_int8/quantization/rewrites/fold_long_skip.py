"""The long skip without rounding: an exact rewrite that leads the image around the trunk.

An EDSR ends its trunk on a sum: the features of the image (from the first convolution) plus the trunk's
output. That sum is the picture itself, and on one uint8 grid most of what int8 loses is lost there. But the
convolution after the sum is linear, and so is the first one: together they are a convolution of the image,
whose pixels are uint8 already. So the sum is removed: its consumer reads the trunk's last convolution and,
as more input channels, the pixels around each pixel (taps). Nothing of the image is rounded on the way, and
the trunk's output gets a grid of its own.

The first convolution pads the image with zeros, and the consumer pads the sum with zeros. To be exact at the
border, where these differ, each neighbour of a pixel is a channel of its own, instead of a larger kernel.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from edsr_int8.quantization.ir.grid import Grid, image_grid
from edsr_int8.quantization.ir.layers import (
    IMAGE,
    Add,
    Concat,
    ConstantPlane,
    Conv,
    Layer,
    Network,
    Taps,
    consumers,
)
from edsr_int8.quantization.ir.scale_groups import scale_groups
from edsr_int8.quantization.rewrites.fold import PLANE, WHITE

TAPS, CONCAT = "image.taps", "image.join"


@dataclass(frozen=True, eq=False)
class LongSkip:
    """head(image) + end(...), with one consumer: a convolution."""

    head: Conv
    end: Conv
    sum: Add
    consumer: Conv


def long_skip(network: Network) -> LongSkip | None:
    """Where the network has one. MDSR's last sum is no convolution of the image: there is none."""
    sums = [layer for layer in network.layers if isinstance(layer, Add)]
    if not sums or any(isinstance(layer, Concat) for layer in network.layers):
        return None
    last = sums[-1]
    layers, counts = {x.name: x for x in network.layers}, consumers(network.layers)
    # The first convolution of the image comes first in the order of the layers.
    head, end = (layers.get(name) for name in sorted(last.inputs, key=list(layers).index))
    consumer = next((x for x in network.layers if last.name in x.inputs), None)
    if (
        isinstance(head, Conv)
        and isinstance(end, Conv)
        and isinstance(consumer, Conv)
        and head.linear
        and end.linear
        and counts[last.name] == counts[end.name] == 1
        and head.inputs[0] in (IMAGE, PLANE)
    ):
        return LongSkip(head, end, last, consumer)
    return None


def fold_long_skip(network: Network, high_precision: Collection[str] = ()) -> Network:
    """`network` with its long skip, where it has one, led around the trunk.

    Unchanged where the whole skip is high precision (its two ends and the sum): there it is not rounded.
    Equal on every pixel, borders included, to 1e-9 grey levels in float64. The taps are on the image's grid;
    `on_grids` moves them to the grid of the tensor that they are concatenated with.
    """
    skip = long_skip(network)
    if skip is None or {skip.head.name, skip.sum.name, skip.consumer.name} <= set(high_precision):
        return network
    head = skip.head.weight.astype(np.float64)
    if skip.head.inputs[0] == IMAGE:  # no mean: only the bias needs the plane
        head = np.concatenate([head, np.zeros_like(head[:, :1])], axis=1)
    plane = head.shape[1] - 1
    kernel = (head.shape[2], head.shape[3])
    middle = (plane, kernel[0] // 2, kernel[1] // 2)
    used = np.abs(head).max(axis=0) > 0
    used[middle] = True
    taps = tuple((int(c), int(y), int(x)) for c, y, x in np.argwhere(used))
    columns = head[:, used]  # features x taps
    # The plane is WHITE inside the image only, so its tap adds the bias there and nowhere else.
    white = WHITE - network.centre
    columns[:, taps.index(middle)] += skip.head.bias.astype(np.float64) / white
    weight = skip.consumer.weight.astype(np.float64)
    more = np.einsum("ofij,ft->otij", weight, columns)
    expected = None
    if skip.head.expected is not None:
        expected = np.concatenate([np.zeros(weight.shape[1]), [skip.head.expected[tap[0]] for tap in taps]])
    image = image_grid(network.centre)
    gathered = Taps(
        TAPS, (PLANE,), taps, plane + 1, kernel, image.scale, image.zero_point, centre=network.centre
    )
    consumer = replace(
        skip.consumer, inputs=(CONCAT,), weight=np.concatenate([weight, more], axis=1), expected=expected
    )
    return replace(network, layers=tuple(_rewired(network, skip, gathered, consumer)))


def _rewired(network: Network, skip: LongSkip, taps: Taps, consumer: Conv) -> Iterator[Layer]:
    if not any(isinstance(layer, ConstantPlane) for layer in network.layers):
        yield ConstantPlane(PLANE, (IMAGE,), WHITE)
    for layer in network.layers:
        if layer is skip.sum:
            yield taps
            yield Concat(CONCAT, (skip.end.name, TAPS))
        elif layer is skip.consumer:
            yield consumer
        else:
            yield layer


def on_grids(network: Network, grids: Mapping[str, Grid]) -> Network:
    """`network` with its taps, where it has some, on the grid of the tensor that they are concatenated with.

    Exact: value' = scale' * (code - zero point') is linear in value, so the weights of the consumer absorb
    the difference; the constant goes through the plane's own tap. ValueError where that grid has no values
    above zero, KeyError where there is none.
    """
    taps = next((x for x in network.layers if isinstance(x, Taps)), None)
    if taps is None:
        return network
    owner = scale_groups(network)[taps.name].owner
    new = grids[owner]
    if new.zero_point >= WHITE:
        raise ValueError(f"{owner}: a grid without values above zero has no code for the plane")
    moved = replace(taps, scale=new.scale, zero_point=new.zero_point)
    consumer = next(x for x in network.layers if isinstance(x, Conv) and x.inputs == (CONCAT,))
    weight = consumer.weight.copy()
    first = weight.shape[1] - len(taps.taps)
    of_taps = weight[:, first:]
    constant = taps.scale * (moved.zero_point - taps.zero_point) * of_taps.sum(axis=1)
    weight[:, first:] = of_taps * (taps.scale / moved.scale)
    weight[:, first + taps.white] += constant / (moved.scale * (WHITE - moved.zero_point))
    expected = consumer.expected
    if expected is not None:
        values = moved.scale * (expected[first:] / taps.scale + taps.zero_point - moved.zero_point)
        expected = np.concatenate([expected[:first], values])
    changed = {taps.name: moved, consumer.name: replace(consumer, weight=weight, expected=expected)}
    return replace(network, layers=tuple(changed.get(x.name, x) for x in network.layers))
