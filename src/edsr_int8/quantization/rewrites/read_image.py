"""The image in place of its features, where 8 bits would round these: an exact rewrite for a head in float.

A head in float gives its features to the sum of the first block as they are. Yet the block's first
convolution, which is int8, reads them rounded. It is linear in them, and they are in the image: together the
two are a convolution of the pixels, which are uint8 already. As in rewrites/fold_long_skip.py each neighbour
is a channel of its own, so that borders stay exact.
"""

from collections.abc import Collection
from dataclasses import replace

from edsr_int8.quantization.ir.layers import IMAGE, ConstantPlane, Conv, Layer, Network, Taps
from edsr_int8.quantization.rewrites.fold import PLANE, WHITE
from edsr_int8.quantization.rewrites.fold_long_skip import gathered, of_features


def read_image(network: Network, high_precision: Collection[str]) -> Network:
    """`network` with the int8 convolutions of the image's features as convolutions of the image.

    Equal on every pixel, borders included, to 1e-9 grey levels in float64. Unchanged where the head is int8,
    where no int8 convolution reads it, and where the long skip is folded already.
    """
    head = next((x for x in network.layers if isinstance(x, Conv)), None)
    if head is None or head.name not in high_precision or not head.linear:
        return network
    readers = [
        x
        for x in network.layers
        if isinstance(x, Conv) and x.inputs[0] == head.name and x.name not in high_precision
    ]
    if not readers or any(isinstance(x, Taps) for x in network.layers):
        return network
    taps = gathered(head, network.centre)
    planes = [x for x in network.layers if isinstance(x, ConstantPlane)]
    before = [] if planes else [ConstantPlane(PLANE, (IMAGE,), WHITE)]

    def rewired(layer: Layer) -> list[Layer]:
        if layer is head:
            return [head, taps]
        return [of_features(layer, head, taps) if isinstance(layer, Conv) and layer in readers else layer]

    layers = [new for layer in network.layers for new in rewired(layer)]
    return replace(network, layers=(*before, *layers))
