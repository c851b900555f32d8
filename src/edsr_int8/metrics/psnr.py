"""Peak signal-to-noise ratio of images in grey levels 0..255."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

PEAK = 255.0
IDENTICAL_DB = 100.0  # what an identical pair counts as, so that means stay finite


def psnr_db(output: NDArray[Any], reference: NDArray[Any]) -> float:
    """10 log10(255^2 / MSE) in decibels, at most 100: no pair scores above an identical one.

    Both arrays hold grey levels 0..255, uint8 or float, any shape; ValueError where shapes differ, where
    there is no pixel, and where one is NaN or infinite.
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
