"""The last PixelShuffle moved behind the last convolution: an exact rewrite with less work there.

An EDSR ends on a convolution to many channels, a PixelShuffle and a convolution to three. Nothing in
between bends: each output pixel is a sum over the pixels that the shuffle put around it, and of these,
those that came from one pixel in front of the shuffle can be added up there already, by the first
convolution. What is left to the second is to add a few neighbours, and the shuffle comes last. At factor
2, 48 channels take the place of four times the features: with 64 a fifth of the work is left, with fewer
than 18 it is more than before. Zero padding stays what it was, so borders are exact, too.

The few channels carry the picture itself, in parts: on uint8 grids they lose more than the many did. It is
the rewrite to make where both convolutions stay in float, for which it leaves far more of the budget.
"""

from collections import defaultdict
from dataclasses import dataclass, replace

import numpy as np

from edsr_int8.quantization.ir.layers import Conv, Network, Shuffle, users


@dataclass(frozen=True, eq=False)
class Part:
    """What the pixels from one cell, `row` and `column` cells away, add to channel `output` of a cell.

    A cell is the square of pixels that PixelShuffle makes of one pixel.
    """

    output: int
    row: int
    column: int
    weight: np.ndarray  # IHW
    bias: float


def narrow(network: Network) -> Network:
    """`network` with its last shuffle behind its last convolution, where these two end it.

    Equal on every pixel, borders included, to 1e-9 grey levels in float64. The layers keep their names;
    the tensor between the convolutions is another, so that histograms of the old one do not fit.
    """
    if len(network.layers) < 3:
        return network
    *before, wide, shuffle, last = network.layers
    if not (
        isinstance(wide, Conv)
        and isinstance(shuffle, Shuffle)
        and isinstance(last, Conv)
        and wide.linear
        and shuffle.inputs == (wide.name,)
        and last.inputs == (shuffle.name,)
        and users(network.layers)[wide.name] == users(network.layers)[shuffle.name] == 1
    ):
        return network
    parts = _parts(wide, shuffle.factor, last)
    reach = max(abs(n) for part in parts for n in (part.row, part.column))
    cells = shuffle.factor**2
    added = np.zeros((len(last.bias) * cells, len(parts), 2 * reach + 1, 2 * reach + 1))
    for i, part in enumerate(parts):
        added[part.output, i, part.row + reach, part.column + reach] = 1
    weight, bias = np.stack([part.weight for part in parts]), np.array([part.bias for part in parts])
    layers = (
        replace(wide, weight=weight, bias=bias),
        replace(last, inputs=(wide.name,), weight=added, bias=np.repeat(last.bias, cells)),
        replace(shuffle, inputs=(last.name,)),
    )
    return replace(network, layers=(*before, *layers))


def _parts(wide: Conv, factor: int, last: Conv) -> list[Part]:
    """The channels of `wide` and the weights of `last` multiplied out, cell by cell."""
    outputs, channels, height, width = last.weight.shape
    shape = (channels, factor, factor)
    weights = wide.weight.astype(np.float64).reshape(*shape, *wide.weight.shape[1:])
    biases = wide.bias.astype(np.float64).reshape(shape)
    found = []
    for output, i, j in np.ndindex(outputs, factor, factor):
        of_cell = defaultdict(list)
        for y, x in np.ndindex(height, width):
            row, column = i + y - height // 2, j + x - width // 2
            phase = (row % factor, column % factor)
            of_cell[row // factor, column // factor].append((last.weight[output, :, y, x], phase))
        for (row, column), taps in sorted(of_cell.items()):
            weight = sum(np.einsum("c,cihw->ihw", tap, weights[:, *phase]) for tap, phase in taps)
            bias = sum(float(tap @ biases[:, *phase]) for tap, phase in taps)
            found.append(Part((output * factor + i) * factor + j, row, column, np.asarray(weight), bias))
    return found
