"""The images that one row of params.yaml uses, as links in a folder of its own.

A stage that depends on that folder runs again when these images change, and not when any other data set does.
"""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from edsr_int8.data.pairs.read import read_pairs
from edsr_int8.files import link, sha256


def content_sha256(folders: Iterable[Path]) -> str:
    """Of the names and the content of all images in these folders; a folder may be missing."""
    digest = hashlib.sha256()
    for folder in folders:
        for path in sorted(folder.rglob("*.png")):
            name = path.relative_to(folder.parent).as_posix()
            digest.update(f"{sha256(path)} {name}\n".encode())
    return digest.hexdigest()


def link_pairs(source: Path, out: Path) -> None:
    """Link every pair of the data set `source` into out/{lr,hr}."""
    for pair in read_pairs(source):
        link(pair.lr, out / "lr" / f"{pair.name}.png")
        if pair.hr is not None:
            link(pair.hr, out / "hr" / f"{pair.name}.png")


def link_calibration(source: Path, out: Path, *, images: int) -> None:
    """Link the degraded image of the first `images` pairs of `source`, by name, into `out`."""
    for pair in read_pairs(source)[:images]:
        link(pair.lr, out / f"{pair.name}.png")
