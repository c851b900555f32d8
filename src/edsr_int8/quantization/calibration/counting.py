"""The values of a tensor, counted into a histogram."""

from functools import reduce

import cv2
import numpy as np

from edsr_int8.quantization.calibration.histogram import BINS, Histogram

# Values counted at a time: their 16-bit halves stay in the cache, and under 2^24 the float32 counts of
# cv2.calcHist are exact.
CHUNK = 1 << 21


def count(values: np.ndarray) -> Histogram:
    """Count every value of a contiguous float32 array. ValueError where one is NaN or infinite."""
    low, high = (float(end) + 0.0 for end in (values.min(), values.max()))  # + 0.0: no negative zero
    if not np.isfinite([low, high]).all():
        raise ValueError("holds NaN or infinity")
    upper = values.reshape(-1).view(np.uint16)[1::2]  # little-endian: the half with sign and exponent
    chunks = (upper[i : i + CHUNK] for i in range(0, upper.size, CHUNK))
    return Histogram(reduce(np.add, map(_count, chunks)), low, high)


def _count(codes: np.ndarray) -> np.ndarray:
    # Twice as fast as np.bincount, and without Python's lock, so that other threads go on meanwhile.
    row = np.ascontiguousarray(codes).reshape(1, -1)
    return cv2.calcHist([row], [0], None, [BINS], [0, BINS]).reshape(-1).astype(np.int64)
