"""How far colours drive each tensor: the chart's flat fields and stripes, each by itself.

Photographs hold few saturated colours, so ranges of photographs clip them. But what a network may be given is
known, the RGB cube: the chart says how far it drives a tensor, whatever the network was calibrated on.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from edsr_int8.data.colour_chart import flat_fields, striped_fields
from edsr_int8.quantization.calibration.subgraphs import Forward
from edsr_int8.quantization.ir.grid import Range
from edsr_int8.quantization.ir.layers import Network

STRIPES = (2, 4, 8)  # pixels: fine ones drive a tensor further than wide ones, and a single edge furthest
LEAST = 0.6  # of the range of all colours: what no calibration images may fall short of
LEVELS = 3  # of a channel: the corners of the cube and what lies between


def colour_ranges(network: Network, names: Sequence[str], *, stripes: bool = False) -> dict[str, Range]:
    """The least and the largest value of each of the tensors `names` on any field; zero is among them.

    On flat fields, and with `stripes` on those as well.
    """
    forward = Forward(network.layers, names, threads=1)
    fields = np.concatenate([flat_fields(LEVELS), *map(striped_fields, STRIPES if stripes else ())])
    found = dict.fromkeys(names, (0.0, 0.0))
    for field in fields.transpose(0, 3, 1, 2).astype(np.float32):
        for values in forward(field[None] - network.centre):
            for name, value in values.items():
                low, high = found[name]
                found[name] = (min(low, float(value.min())), max(high, float(value.max())))
    return found


def covering(kept: Mapping[str, Range], colours: Mapping[str, Range], part: float) -> dict[str, Range]:
    """The ranges `kept`, widened by a `part` (0..1) of the way to those of the `colours`, by ratio.

    And to LEAST of these at any rate, however narrow what was kept is.
    """
    return {
        name: (-_towards(-low, -colours[name][0], part), _towards(high, colours[name][1], part))
        for name, (low, high) in kept.items()
    }


def floors(colours: Mapping[str, Range]) -> dict[str, Range]:
    """What the range of each tensor may not fall short of, so that flat colours stay what they are."""
    return {name: (LEAST * low, LEAST * high) for name, (low, high) in colours.items()}


def _towards(near: float, far: float, part: float) -> float:
    if far <= near:
        return near
    between = near ** (1 - part) * far**part if near > 0 else part * far
    return float(max(between, LEAST * far)) if part > 0 else near
