"""The crops that the page puts side by side: the most detailed window of a data set's first image."""

import numpy as np
from numpy.typing import NDArray

from edsr_int8.data.images import read_rgb
from edsr_int8.metrics.evaluate import Folders, enlarge_input, image_names

Image = NDArray[np.uint8]

SIDE = 192  # output pixels, a multiple of every scale


def crops(folders: Folders, *, scale: int, side: int = SIDE) -> dict[str, Image]:
    """Cut the most detailed window, at most `side` pixels wide and high, out of the first image.

    Returns uint8 HWC RGB images: `input` (the degraded pixels, smaller by `scale`), `bicubic` (their
    enlargement; at x1 the input itself), `output` and `reference`. The window depends on the reference
    alone, so all builds of a network show the same one.
    """
    path = f"{image_names(folders)[0]}.png"
    reference = read_rgb(folders.hr / path)
    window = detailed_window(reference, side=side, step=scale)
    small = tuple(slice(edge.start // scale, edge.stop // scale) for edge in window)
    return {
        "input": read_rgb(folders.lr / path)[small],
        "bicubic": enlarge_input(folders.lr / path, scale, reference.shape)[window],
        "output": read_rgb(folders.outputs / path)[window],
        "reference": reference[window],
    }


def detailed_window(image: Image, *, side: int, step: int) -> tuple[slice, slice]:
    """Rows and columns of the window whose neighbouring pixels differ most, by the sum of their differences.

    Its edges lie on multiples of `step`. Of equal windows it is the topmost, then the leftmost.
    """
    height, width = (min(side, length) // step * step for length in image.shape[:2])
    grey = image.sum(axis=2, dtype=np.int64)  # integers: sums are exact, so equal windows compare equal
    detail = np.abs(np.diff(grey, axis=0, append=grey[-1:])) + np.abs(
        np.diff(grey, axis=1, append=grey[:, -1:])
    )
    table = np.pad(detail.cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))  # summed-area table
    sums = (
        table[height:, width:] - table[:-height, width:] - table[height:, :-width] + table[:-height, :-width]
    )
    candidates = sums[::step, ::step]
    row, column = np.unravel_index(candidates.argmax(), candidates.shape)
    top, left = int(row) * step, int(column) * step
    return slice(top, top + height), slice(left, left + width)
