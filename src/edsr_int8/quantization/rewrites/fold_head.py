"""The first convolution folded into the first block: an exact rewrite that rounds nothing of the image there.

Where the long skip is folded, the first convolution of the image (the head) has two consumers left, both in
the first block: its first convolution and its sum. Both are linear in the head's output, so they can read
the image itself, whose pixels are uint8 already. The first convolution reads the taps that the long skip
has gathered: convolution after convolution, each neighbour a channel of its own, so that borders stay exact.
The block's last convolution gets the pixels as more input channels and the head's weights on them, which
makes the sum part of it. The head, the sum, and the rounding of two tensors are gone.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from edsr_int8.quantization.ir.grid import image_grid
from edsr_int8.quantization.ir.layers import IMAGE, Add, Concat, Conv, Layer, Network, Taps, consumers
from edsr_int8.quantization.rewrites.fold_long_skip import TAPS, of_features

PIXELS, JOIN = "image.pixels", "body.join"


@dataclass(frozen=True, eq=False)
class FirstBlock:
    """head(image) + last(... first(head(image)))."""

    head: Conv
    first: Conv
    last: Conv
    sum: Add


def first_block(network: Network) -> FirstBlock | None:
    """Where the network's long skip is folded and its head has no other consumers than the first block."""
    layers, counts = {x.name: x for x in network.layers}, consumers(network.layers)
    taps = layers.get(TAPS)
    if not isinstance(taps, Taps):
        return None
    heads = [x for x in network.layers if isinstance(x, Conv) and x.inputs[0] in _images(taps)]
    if len(heads) != 1 or not heads[0].linear:
        return None
    readers = [x for x in network.layers if heads[0].name in x.inputs]
    convs = [x for x in readers if isinstance(x, Conv)]
    sums = [x for x in readers if isinstance(x, Add)]
    if len(readers) != 2 or len(convs) != 1 or len(sums) != 1:
        return None
    last = layers[next(name for name in sums[0].inputs if name != heads[0].name)]
    inside = isinstance(last, Conv) and last.linear and last.inputs == (convs[0].name,)
    alone = counts[last.name] == counts[convs[0].name] == 1
    if isinstance(last, Conv) and inside and alone and convs[0].low == 0:
        return FirstBlock(heads[0], convs[0], last, sums[0])
    return None


def _images(taps: Taps) -> tuple[str, ...]:
    """The image, and the image with its plane."""
    return (*taps.inputs, IMAGE)


def fold_head(network: Network) -> Network:
    """`network` with its head folded into the first block, if the long skip is folded and the block is plain.

    Equal on every pixel, borders included, to 1e-9 grey levels in float64. The taps must be on the image's
    grid, and so are the pixels; `on_grids` moves both.
    """
    block = first_block(network)
    if block is None:
        return network
    return replace(network, layers=tuple(_rewired(network, block)))


def _rewired(network: Network, block: FirstBlock) -> Iterator[Layer]:
    taps = next(x for x in network.layers if x.name == TAPS)
    assert isinstance(taps, Taps)
    for layer in network.layers:
        if layer is block.head:
            yield taps
        elif layer is block.first:
            yield of_features(block.first, block.head, taps)
        elif layer is block.last:
            yield _pixels(block.head, network.centre)
            yield Concat(JOIN, (block.first.name, PIXELS))
        elif layer is block.sum:
            yield _with_head(block)
        elif layer is not taps:
            yield layer


def _pixels(head: Conv, centre: int) -> Taps:
    channels = head.weight.shape[1]
    places = tuple((channel, 0, 0) for channel in range(channels))
    image = image_grid(centre)
    return Taps(PIXELS, head.inputs, places, channels, (1, 1), image.scale, image.zero_point, centre=centre)


def _with_head(block: FirstBlock) -> Conv:
    """The block's sum as one convolution of its features and the image's pixels."""
    own, head = (x.weight.astype(np.float64) for x in (block.last, block.head))
    height, width = (max(a, b) for a, b in zip(own.shape[2:], head.shape[2:], strict=True))
    weight = np.concatenate([_padded(own, height, width), _padded(head, height, width)], axis=1)
    expected = None
    if block.head.expected is not None:
        expected = np.concatenate([np.zeros(own.shape[1]), block.head.expected])
    bias = block.last.bias.astype(np.float64) + block.head.bias
    return Conv(block.sum.name, (JOIN,), weight, bias, expected=expected)


def _padded(weight: np.ndarray, height: int, width: int) -> np.ndarray:
    """A kernel with zeros around it."""
    more = ((height - weight.shape[2]) // 2, (width - weight.shape[3]) // 2)
    return np.pad(weight, ((0, 0), (0, 0), (more[0], more[0]), (more[1], more[1])))
