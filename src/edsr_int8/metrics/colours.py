"""How far a build shifts colours that photographs hide: the colour chart, scored against fp32."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edsr_int8.data.colour_chart import COLUMNS, chart, field_means
from edsr_int8.data.images import read_rgb, write_png
from edsr_int8.errors import InputError

KIND, DATASET = "colours", "chart"  # the chart's folder beside those of the data sets: colours/chart
NAME = "chart.png"
COLOURS, SHIFTS = "chart.colours.png", "chart.shifts.png"  # what the page shows: a pixel for each field
GAIN = 32  # grey levels of the picture for one of shift: 2 are dark, 8 are white


def write_chart(images: Path) -> None:
    """Write the chart as an input of every build, into `images`/colours/chart/lr."""
    write_png(images / KIND / DATASET / "lr" / NAME, chart())


def colour_shifts(outputs: Path, fp32: Path, scale: int) -> tuple[float, ...]:
    """Of each field of the chart, the distance of its mean colour from that of fp32, in grey levels.

    Both folders are what `infer` writes. The distance is that of the channel that differs most, over the
    middle of the field. Empty where one of the two targets gave no chart. InputError: not a chart's size.
    """
    both = [folder / KIND / DATASET / NAME for folder in (outputs, fp32)]
    if not all(path.is_file() for path in both):
        return ()
    shape = (*(scale * length for length in chart().shape[:2]), 3)
    images = [read_rgb(path) for path in both]
    for path, image in zip(both, images, strict=True):
        if image.shape != shape:
            raise InputError(f"{path}: is no chart of {shape[1]}x{shape[0]} pixels; run infer again")
    ours, theirs = (field_means(image, scale) for image in images)
    return tuple(float(shift) for shift in np.abs(ours - theirs).max(axis=1))


def write_pictures(shifts: Sequence[float], out: Path) -> None:
    """Write the chart's colours and the `shifts` of its fields, magnified: black is equal, white 8 levels."""
    grey = np.minimum(255, np.rint(np.multiply(shifts, GAIN))).astype(np.uint8)
    colours = np.rint(field_means(chart())).astype(np.uint8)
    write_png(out / COLOURS, colours.reshape(-1, COLUMNS, 3))
    write_png(out / SHIFTS, np.repeat(grey[:, None], 3, axis=1).reshape(-1, COLUMNS, 3))
