"""Structural similarity as BasicSR measures it (basicsr/metrics/psnr_ssim.py).

Wang et al., "Image quality assessment: from error visibility to structural similarity", IEEE TIP
13(4), 2004, eq. 13; window, constants and valid region as in the authors' MATLAB release.

In float64 throughout: in float32 the variance of a flat area is lost in the square of its mean, and
the result is off by up to 4e-5 where two images are flat and differ.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

WINDOW = 11
SIGMA = 1.5
C1 = (0.01 * 255) ** 2
C2 = (0.03 * 255) ** 2

_KERNEL = cv2.getGaussianKernel(WINDOW, SIGMA)
_EDGE = WINDOW // 2
_TILE = (64, 256)  # windows, down and across: what the filters make of a tile stays in the CPU's cache


def ssim(output: NDArray[Any], reference: NDArray[Any], *, threads: int = 2) -> float:
    """Mean SSIM over all windows that lie inside the image, and over channels.

    Both arrays are HW or HWC in grey levels 0..255, uint8 or float. The result does not depend on
    `threads`. ValueError where the shapes differ or are smaller than the 11x11 window.
    """
    if output.shape != reference.shape:
        raise ValueError(f"shapes differ: {output.shape} and {reference.shape}")
    if min(output.shape[:2]) < WINDOW:
        raise ValueError(f"image of shape {output.shape} is smaller than the {WINDOW}x{WINDOW} window")
    tiles = _tiles(output.shape[0], output.shape[1])
    with ThreadPoolExecutor(threads) as pool:  # OpenCV and numpy let go of the interpreter lock
        totals = pool.map(lambda tile: _total(output[tile], reference[tile]), tiles)
        return sum(totals) / output[2 * _EDGE :, 2 * _EDGE :].size


def _tiles(height: int, width: int) -> list[tuple[slice, slice]]:
    """Parts of the image whose windows, together, are all of its windows once."""
    rows, columns = (
        [slice(first, min(first + step, length - 2 * _EDGE) + 2 * _EDGE)
         for first in range(0, length - 2 * _EDGE, step)]
        for length, step in zip((height, width), _TILE, strict=True)
    )  # fmt: skip
    return [(row, column) for row in rows for column in columns]


def _total(output: NDArray[Any], reference: NDArray[Any]) -> float:
    """Sum of SSIM over the windows of a tile.

    With means m, n of x and y, and window means E, the formula is
    4 (mn + C1/2) (E[xy] - mn + C2/2) / ((m^2 + n^2 + C1) (E[x^2 + y^2] - m^2 - n^2 + C2)): the two
    variances are needed as their sum only, so four filtered images do. In place, and on whole tiles
    with their incomplete windows at the edge, since temporaries and cropped rows take longer.
    """
    x, y = output.astype(np.float64), reference.astype(np.float64)
    mean_x, mean_y = _window_means(x), _window_means(y)
    contrast = _window_means(x * y, C2 / 2)
    x *= x
    y *= y
    x += y
    variances = _window_means(x, C2)
    means = mean_x * mean_y
    contrast -= means
    means += C1 / 2
    contrast *= means
    mean_x *= mean_x
    mean_y *= mean_y
    mean_x += mean_y
    variances -= mean_x
    mean_x += C1
    variances *= mean_x
    contrast /= variances
    return 4 * float(contrast[_EDGE:-_EDGE, _EDGE:-_EDGE].sum())


def _window_means(image: NDArray[np.float64], plus: float = 0.0) -> NDArray[Any]:
    """Gaussian-weighted mean of the window around every pixel, `plus` a constant.

    The 2-D window is its 1-D one, twice. Windows that reach over the edge mean nothing.
    """
    return cv2.sepFilter2D(image, -1, _KERNEL, _KERNEL, delta=plus)
