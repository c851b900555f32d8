"""The images that one row needs, put together in a folder of its own as links.

DVC sees a row's folder and not all of the data sets: another data set does not make the row look changed.
"""

from pathlib import Path

from edsr_int8.data.pairs.read import read_pairs
from edsr_int8.files import link


def select_pairs(source: Path, out: Path) -> None:
    """Link every pair of the data set `source` into out/{lr,hr}."""
    for pair in read_pairs(source):
        link(pair.lr, out / "lr" / f"{pair.name}.png")
        if pair.hr is not None:
            link(pair.hr, out / "hr" / f"{pair.name}.png")


def select_calibration(source: Path, out: Path, *, images: int) -> None:
    """Link the first `images` degraded images of the data set `source`, by name, into `out`."""
    for pair in read_pairs(source)[:images]:
        link(pair.lr, out / f"{pair.name}.png")
