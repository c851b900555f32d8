"""Taps that the last convolution reads more than once, so that each copy has a part of the weight: exact.

All weights of an output channel are rounded in steps of its largest. A last convolution that reads the
image's pixels beside features has single large weights for pixels, the picture itself, and hundreds of small
ones for features, which these steps would be too coarse for. Copies of a few channels cost next to nothing.
"""

from dataclasses import replace

import numpy as np

from edsr_int8.quantization.ir.layers import Concat, Conv, Layer, Network, Taps, consumers, parts

MORE = "image.more"
MOST = 8  # times that a tap is read


def spread_taps(network: Network) -> Network:
    """`network`, whose last convolution reads taps up to MOST times, until features have the largest weights.

    Equal on every pixel, borders included, to 1e-9 grey levels in float64. Unchanged where it reads no taps.
    They must be on the grid of the features (`fold_long_skip.on_grids`), or the weights do not compare.
    """
    last = [x for x in network.layers if isinstance(x, Conv)][-1]
    join = next((x for x in network.layers if x.name == last.inputs[0]), None)
    read = parts(network)[last.inputs[0]]
    taps = next((x for x in network.layers if isinstance(x, Taps) and x.name in read), None)
    if taps is None or not isinstance(join, Concat) or consumers(network.layers)[join.name] > 1:
        return network
    part = read[taps.name]
    times = _times(last, part)
    times[taps.white] = max(times[taps.white], 2)  # all taps have the plane's own among them
    if times.sum() == len(times) + 1:
        return network
    again = np.repeat(np.arange(len(times)), times - 1)
    more = replace(taps, name=MORE, taps=tuple(taps.taps[i] for i in again))
    weight = last.weight.astype(np.float64)
    weight[:, part] /= times[:, None, None]
    expected = last.expected
    changed: dict[Layer, tuple[Layer, ...]] = {
        join: (more, replace(join, inputs=(*join.inputs, MORE))),
        last: (
            replace(
                last,
                weight=np.concatenate([weight, weight[:, part][:, again]], axis=1),
                expected=None if expected is None else np.append(expected, expected[part][again]),
            ),
        ),
    }
    layers = (new for layer in network.layers for new in changed.get(layer, (layer,)))
    return replace(network, layers=tuple(layers))


def _times(reader: Conv, part: slice) -> np.ndarray:
    """How often each tap is read for its weights to exceed no others, in any output channel."""
    peaks = np.abs(reader.weight).max(axis=(2, 3))  # OI
    others = np.delete(peaks, np.r_[part], axis=1).max(axis=1, keepdims=True)
    ratio = np.divide(peaks[:, part], others, out=np.ones_like(peaks[:, part]), where=others > 0)
    return np.ceil(ratio.max(axis=0)).clip(1, MOST).astype(int)
