"""The exact rewrites that lead the image around the trunk and carry what comes out of it: one form a row."""

from collections.abc import Collection

from edsr_int8.quantization.ir.layers import Concat, Conv, Network, PixelShuffle, Taps
from edsr_int8.quantization.recipe import Carriers, Structure
from edsr_int8.quantization.rewrites.carry import carry
from edsr_int8.quantization.rewrites.fold_head import fold_head
from edsr_int8.quantization.rewrites.fold_long_skip import fold_long_skip
from edsr_int8.quantization.rewrites.read_image import read_image
from edsr_int8.quantization.rewrites.spread import spread_taps


def folded(network: Network, structure: Structure, high_precision: Collection[str] = ()) -> Network:
    """`network` with its long skip and its head folded, as far as `structure` asks and it has them.

    With `high_precision` layers the head stays, and what is int8 reads the image beside it.
    """
    if structure.fold_long_skip:
        network = fold_long_skip(network, high_precision)
    if not structure.fold_head:
        return network
    return read_image(network, high_precision) if high_precision else fold_head(network)


def carried(network: Network, carriers: Carriers) -> Network:
    """`network`, folded and on its grids, with its last tensors carried and its taps spread."""
    taps = {x.name for x in network.layers if isinstance(x, Taps)}
    joins = [x for x in network.layers if isinstance(x, Concat) and taps & set(x.inputs)]
    linear = {x.name for x in network.layers if isinstance(x, Conv) and x.linear}
    trunk = [x.inputs[0] for x in joins if x.inputs[0] in linear]
    tail = _collapsed(network)
    for name, times in [*((n, carriers.trunk) for n in trunk), *((n, carriers.tail) for n in tail)]:
        if times > 1:
            network = carry(network, name, times)
    return spread_taps(network)


def _collapsed(network: Network) -> list[str]:
    """The tensor before the last convolution where the last shuffle comes after that."""
    *_, last, shuffle = network.layers
    producers = {x.name: x for x in network.layers}
    if not (isinstance(shuffle, PixelShuffle) and isinstance(last, Conv)):
        return []
    wide = producers.get(last.inputs[0])
    if isinstance(wide, Concat):  # rewrites/direct_tail.py
        wide = producers.get(wide.inputs[-1])
    return [wide.name] if isinstance(wide, Conv) and wide.linear else []
