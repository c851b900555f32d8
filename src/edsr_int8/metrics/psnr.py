"""Peak signal-to-noise ratio of images in grey levels 0..255."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

PEAK = 255.0
IDENTICAL_DB = 100.0  # of identical images, in place of infinity: means stay finite


def psnr_db(output: NDArray[Any], reference: NDArray[Any]) -> float:
    """10 log10(255^2 / MSE) in decibels, at most 100, which identical images have.

    Both arrays hold grey levels 0..255, uint8 or float, in any shape. ValueError where their shapes differ,
    where they have no pixel, or where a grey level is NaN or infinite.
    """
    if output.shape != reference.shape:
        raise ValueError(f"shapes differ: {output.shape} and {reference.shape}")
    if output.size == 0:
        raise ValueError("no pixels to compare")
    difference = np.subtract(output, reference, dtype=np.float64)
    mean_square = np.square(difference, out=difference).mean()
    if not np.isfinite(mean_square):
        raise ValueError("a grey level is NaN or infinite")
    if mean_square == 0:
        return IDENTICAL_DB
    return min(IDENTICAL_DB, float(10 * np.log10(PEAK**2 / mean_square)))
