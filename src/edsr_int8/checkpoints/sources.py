"""The layouts that are known, and which row a checkpoint would fit."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from types import ModuleType

from edsr_int8.checkpoints import basicsr, official
from edsr_int8.checkpoints.match import Shape
from edsr_int8.models.description import Description

SOURCES: Mapping[str, ModuleType] = {"official": official, "basicsr": basicsr}
PIXELSHUFFLE = tuple(("edsr", "pixelshuffle", scale) for scale in (2, 3, 4))
DIRECT = tuple(("edsr", "direct", scale) for scale in (2, 3, 4))
NONE = (("edsr", "none", 1),)
MDSR = tuple(("mdsr", "pixelshuffle", scale) for scale in (2, 3, 4))
KINDS = {"official": PIXELSHUFFLE + DIRECT + NONE + MDSR, "basicsr": PIXELSHUFFLE + NONE}


def changes_to_fit(found: Mapping[str, Shape], source: str, description: Description) -> dict[str, object]:
    """The fewest fields of the row to change so that it has exactly the tensors `found`.

    Empty where none needs a change, or where no row would do. res_scale is none of them: no tensor tells it.
    """
    asked = {"source": source} | asdict(description)
    rows = (
        {"source": s} | asdict(d) for s, d in _candidates(found) if SOURCES[s].expected_shapes(d) == found
    )
    changes = (
        {name: value for name, value in row.items() if value != asked[name] and name != "res_scale"}
        for row in rows
    )
    return min(changes, key=len, default={})


def _candidates(found: Mapping[str, Shape]) -> Iterator[tuple[str, Description]]:
    numbers = [int(match[1]) for name in found if (match := re.match(r"body\.(\d+)\.", name))]
    last = max(numbers, default=0)
    for source, head, blocks in (
        ("official", "head.0.weight", last),
        ("basicsr", "conv_first.weight", last + 1),
    ):
        for network, upsampler, scale in KINDS[source] if found.get(head) else ():
            yield source, Description(network, found[head][0], blocks, scale, 1.0, upsampler)
