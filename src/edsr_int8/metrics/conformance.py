"""How far the images of one target are from those of another: what two runtimes make of one build."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from edsr_int8.data.images import Image, read_rgb
from edsr_int8.errors import InputError
from edsr_int8.files import read_json


def agreement(outputs: Path, reference: Path) -> dict[str, dict[str, Any]]:
    """{evaluation or card/<data set>: equal_share, max_difference} of the images in two output folders.

    equal_share: of all pixels, those equal in all three channels. max_difference: grey levels, the
    largest of any channel. Empty where one of the two could not run the build. InputError where an
    image has no partner of its shape.
    """
    if any(read_json(folder / "status.json")["status"] != "ok" for folder in (outputs, reference)):
        return {}
    shared = [name for name in _sets(outputs) if (reference / name).is_dir()]
    return {name: _compare(outputs / name, reference / name) for name in shared}


def _sets(outputs: Path) -> list[str]:
    return sorted(
        f"{kind.name}/{f.name}" for kind in outputs.iterdir() if kind.is_dir() for f in kind.iterdir()
    )


def _compare(folder: Path, reference: Path) -> dict[str, Any]:
    equal = pixels = largest = 0
    for ours, theirs in _pairs(folder, reference):
        difference = np.maximum(ours, theirs) - np.minimum(ours, theirs)
        largest = max(largest, int(difference.max()))
        equal += int((difference.max(axis=2) == 0).sum())
        pixels += difference.shape[0] * difference.shape[1]
    return {"equal_share": equal / pixels, "max_difference": largest}


def _pairs(folder: Path, reference: Path) -> Iterator[tuple[Image, Image]]:
    for path in sorted(folder.rglob("*.png")):
        ours, theirs = read_rgb(path), read_rgb(reference / path.relative_to(folder))
        if ours.shape != theirs.shape:
            raise InputError(
                f"{path}: of another shape than {reference / path.relative_to(folder)}; run both again"
            )
        yield ours, theirs
