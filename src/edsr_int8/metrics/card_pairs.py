"""The images of the `card` protocol: every pair of a data set, resized to one fixed shape."""

from pathlib import Path

from edsr_int8.data.images import read_rgb, write_png
from edsr_int8.data.pairs.read import Pair, read_pairs
from edsr_int8.errors import InputError
from edsr_int8.metrics.protocols import card_inputs
from edsr_int8.progress import bar


def write_card_pairs(source: Path, out: Path, *, shape: tuple[int, int], scale: int) -> None:
    """Write every pair of the data set `source`, resized by `card_inputs`, to out/{lr,hr}/<name>.png.

    InputError where a degraded image has no reference.
    """
    for pair in bar(read_pairs(source), "card images", unit="image"):
        low, high = card_inputs(read_rgb(pair.lr), read_rgb(_reference(pair)), shape, scale)
        write_png(out / "lr" / f"{pair.name}.png", low)
        write_png(out / "hr" / f"{pair.name}.png", high)


def _reference(pair: Pair) -> Path:
    if pair.hr is None:
        raise InputError(f"{pair.lr}: has no reference image; give the data set an hr pattern")
    return pair.hr
