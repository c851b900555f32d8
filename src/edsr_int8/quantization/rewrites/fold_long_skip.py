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
    parts,
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
    taps = gathered(skip.head, network.centre)
    more = of_features(skip.consumer, skip.head, taps)
    weight = np.concatenate([skip.consumer.weight.astype(np.float64), more.weight], axis=1)
    expected = None
    if more.expected is not None:
        expected = np.concatenate([np.zeros(skip.consumer.weight.shape[1]), more.expected])
    consumer = replace(skip.consumer, inputs=(CONCAT,), weight=weight, expected=expected)
    return replace(network, layers=tuple(_rewired(network, skip, taps, consumer)))


def gathered(head: Conv, centre: int) -> Taps:
    """The pixels around each pixel that `head` has weights for, and the plane's own, on the image's grid."""
    used = np.abs(_with_plane(head)).max(axis=0) > 0
    channels, *kernel = used.shape
    used[channels - 1, kernel[0] // 2, kernel[1] // 2] = True
    taps = tuple((int(c), int(y), int(x)) for c, y, x in np.argwhere(used))
    image = image_grid(centre)
    return Taps(
        TAPS,
        (PLANE,),
        taps,
        channels,
        (kernel[0], kernel[1]),
        image.scale,
        image.zero_point,
        centre=centre,
    )


def _with_plane(head: Conv) -> np.ndarray:
    """Its weights, OIHW; where there is no mean the plane's are zero, and only its bias needs the plane."""
    weight = head.weight.astype(np.float64)
    return np.pad(weight, ((0, 0), (0, int(head.inputs[0] == IMAGE)), (0, 0), (0, 0)))


def of_features(consumer: Conv, head: Conv, taps: Taps) -> Conv:
    """`consumer` of the features head(image) as a convolution of the `taps`, on the image's grid."""
    columns = np.stack([_with_plane(head)[:, *tap] for tap in taps.taps], axis=1)  # features x taps
    # The plane is WHITE inside the image only, so its tap adds the bias there and nowhere else.
    columns[:, taps.white] += head.bias.astype(np.float64) / (WHITE - taps.centre)
    weight = np.einsum("ofij,ft->otij", consumer.weight.astype(np.float64), columns)
    expected = None
    if head.expected is not None:
        expected = np.array([head.expected[channel] for channel, _, _ in taps.taps])
    return replace(consumer, inputs=(taps.name,), weight=weight, expected=expected)


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
    """`network` with all taps on the grids of the tensors that they are concatenated with.

    Exact: value' = scale' * (code - zero point') is linear in value, so the weights of the consumers absorb
    the difference; the constant goes through the plane's own tap. ValueError where such a grid has no values
    above zero, KeyError where there is none.
    """
    groups = scale_groups(network)
    joined = [x for x in network.layers if isinstance(x, Taps) and groups[x.name].owner != IMAGE]
    moved = {x.name: _moved(x, groups[x.name].owner, grids) for x in joined}
    read = parts(network)

    def changed(layer: Layer) -> Layer:
        if isinstance(layer, Taps):
            return moved[layer.name][1]
        if isinstance(layer, Conv):
            for name, part in read[layer.inputs[0]].items():
                layer = _reread(layer, part, *moved[name]) if name in moved else layer
        return layer

    return replace(network, layers=tuple(map(changed, network.layers))) if moved else network


def _moved(taps: Taps, owner: str, grids: Mapping[str, Grid]) -> tuple[Taps, Taps]:
    new = grids[owner]
    if new.zero_point >= WHITE:
        raise ValueError(f"{owner}: a grid without values above zero has no code for the plane")
    return taps, replace(taps, scale=new.scale, zero_point=new.zero_point)


def _reread(consumer: Conv, part: slice, old: Taps, new: Taps) -> Conv:
    """`consumer`, whose input channels `part` are taps, with weights for their `new` grid, not the `old`."""
    weight = consumer.weight.astype(np.float64)
    of_taps = weight[:, part].copy()
    weight[:, part] = of_taps * (old.scale / new.scale)
    if (shift := new.zero_point - old.zero_point) != 0:
        constant = old.scale * shift * of_taps.sum(axis=1)
        weight[:, part.start + old.white] += constant / (new.scale * (WHITE - new.zero_point))
    expected = consumer.expected
    if expected is not None:
        expected = expected.copy()
        expected[part] = new.scale * (expected[part] / old.scale + old.zero_point - new.zero_point)
    return replace(consumer, weight=weight, expected=expected)
