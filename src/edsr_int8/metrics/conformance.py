"""How far the images that one target makes of a build are from those that another makes of it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import final

import numpy as np

from edsr_int8.data.images import Image, read_rgb
from edsr_int8.errors import InputError
from edsr_int8.metrics.scores import read_status


@final
@dataclass(frozen=True)
class Conformance:
    """How far all images of a data set are from those of another target."""

    equal_share: float  # of all pixels, those equal in all three channels: 0..1
    max_difference: int  # grey levels, the largest of any pixel and channel


def compare(outputs: Path, reference: Path) -> dict[str, Conformance]:
    """Data set, as evaluation/<name> or card/<name> -> how far its images are from those of `reference`.

    Both folders are what infer writes.

    Empty where one of the two targets could not run the build. InputError: an image has no partner, or
    one of another shape.
    """
    if any(read_status(folder) != "ok" for folder in (outputs, reference)):
        return {}
    both = [name for name in _datasets(outputs) if (reference / name).is_dir()]
    return {name: _conformance(outputs / name, reference / name) for name in both}


def _datasets(outputs: Path) -> list[str]:
    kinds = [folder for folder in outputs.iterdir() if folder.is_dir()]
    return sorted(f"{kind.name}/{folder.name}" for kind in kinds for folder in kind.iterdir())


def _conformance(folder: Path, reference: Path) -> Conformance:
    equal = pixels = largest = 0
    for ours, theirs in _pairs(folder, reference):
        difference = np.maximum(ours, theirs) - np.minimum(ours, theirs)
        largest = max(largest, int(difference.max()))
        equal += int((difference.max(axis=2) == 0).sum())
        pixels += difference.shape[0] * difference.shape[1]
    return Conformance(equal / pixels, largest)


def _pairs(folder: Path, reference: Path) -> Iterator[tuple[Image, Image]]:
    for path in sorted(folder.rglob("*.png")):
        partner = reference / path.relative_to(folder)
        ours, theirs = read_rgb(path), read_rgb(partner)
        if ours.shape != theirs.shape:
            raise InputError(f"{path}: its shape is not that of {partner}; run infer again on both targets")
        yield ours, theirs
