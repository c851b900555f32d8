"""The layouts that can be read, and the rows that a file would fit."""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import asdict

from edsr_int8.checkpoints import basicsr, mmagic, official
from edsr_int8.checkpoints.layout import Layout, Shape
from edsr_int8.models.description import SCALES, Description, scales

LAYOUTS: tuple[Layout, ...] = (official.LAYOUT, basicsr.LAYOUT, mmagic.LAYOUT)
# By source, the layout that its own publisher writes: the first.
SOURCES: Mapping[str, Layout] = {layout.source: layout for layout in reversed(LAYOUTS)}


def fitting(found: Mapping[str, Shape]) -> Iterator[tuple[Layout, Description]]:
    """Every network whose tensors, mean shift aside, are exactly those found, by names and shapes.

    Three where the file is MDSR's, which holds three scales. res_scale is 1 in all: no tensor tells it.
    """
    for layout in LAYOUTS:
        for description in _possible(layout, found):
            shift = layout.mean_shift(description)
            if layout.shapes(description) == {n: s for n, s in found.items() if n not in shift}:
                yield layout, description


def changes_to_fit(found: Mapping[str, Shape], source: str, description: Description) -> dict[str, object]:
    """The fewest fields of the row to change so that it has exactly the tensors found.

    Empty where none needs a change, or where no row would do.
    """
    asked = {"source": source} | asdict(description)
    rows = ({"source": layout.source} | asdict(fits) for layout, fits in fitting(found))
    keys = ("source", "network", "features", "blocks", "scale", "upsampler")
    changes = ({key: row[key] for key in keys if row[key] != asked[key]} for row in rows)
    return min(changes, key=len, default={})


def _possible(layout: Layout, found: Mapping[str, Shape]) -> Iterator[Description]:
    """As many blocks and features as are found, with every upsampler and scale that the layout has."""
    for network, upsampler in layout.networks:
        for scale in SCALES[upsampler]:
            head = f"{layout.convolution('head', Description(network, 1, 1, scale, 1.0, upsampler))}.weight"
            if len(found.get(head, ())) != 4:
                continue
            description = Description(network, found[head][0], _blocks(layout, found), scale, 1.0, upsampler)
            if scale in scales(description) and description.blocks:
                yield description


def _blocks(layout: Layout, found: Mapping[str, Shape]) -> int:
    for i in itertools.count():
        description = Description("edsr", 1, i + 1, 2, 1.0, "pixelshuffle")
        if f"{layout.convolution(f'body.{i}.conv1', description)}.weight" not in found:
            return i
    raise AssertionError("unreachable")
