"""Structural similarity as BasicSR measures it (basicsr/metrics/psnr_ssim.py).

Wang et al., "Image quality assessment: from error visibility to structural similarity", IEEE TIP
13(4), 2004, eq. 13. Window, constants and valid region are those of the authors' MATLAB release.

Everything is computed in float64. In float32 the variance of a flat area is lost beside the square of its
mean: where two images are flat and differ, the result is off by up to 4e-5.
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
_TILE = (64, 256)  # windows, down and across: the filtered images of a tile stay in the CPU's cache


def ssim(output: NDArray[Any], reference: NDArray[Any], *, threads: int = 2) -> float:
    """Mean SSIM over all windows that lie inside the image, and over channels.

    Both arrays are HW or HWC in grey levels 0..255, uint8 or float. The result does not depend on
    `threads`. ValueError where their shapes differ, or where they are smaller than the 11x11 window.
    """
    if output.shape != reference.shape:
        raise ValueError(f"shapes differ: {output.shape} and {reference.shape}")
    if min(output.shape[:2]) < WINDOW:
        raise ValueError(f"image of shape {output.shape} is smaller than the {WINDOW}x{WINDOW} window")
    with ThreadPoolExecutor(threads) as pool:  # OpenCV and numpy release the interpreter lock
        totals = pool.map(
            lambda rows: _strip_total(output[rows], reference[rows]), _overlapping(len(output), _TILE[0])
        )
        return sum(totals) / output[2 * _EDGE :, 2 * _EDGE :].size


def _overlapping(length: int, step: int) -> list[slice]:
    """Cut an axis of `length` pixels into overlapping slices: each window lies whole in exactly one slice.

    A slice holds at most `step` windows.
    """
    windows = length - 2 * _EDGE
    return [slice(first, min(first + step, windows) + 2 * _EDGE) for first in range(0, windows, step)]


def _strip_total(output: NDArray[Any], reference: NDArray[Any]) -> float:
    """Sum of SSIM over the windows of a strip that is one tile high.

    All tiles use the same memory: allocating it for each would take a tenth of the time.
    """
    columns = _overlapping(output.shape[1], _TILE[1])
    memory = np.empty((6, output[:, columns[0]].size))
    total = 0.0
    for part in columns:
        tile = output[:, part]
        total += _tile_total(tile, reference[:, part], memory[:, : tile.size].reshape(6, *tile.shape))
    return total


def _tile_total(output: NDArray[Any], reference: NDArray[Any], memory: NDArray[np.float64]) -> float:
    """Sum of SSIM over the windows of a tile; `memory` holds six images of its shape.

    With E the mean over a window, m = E[x] and n = E[y], the formula is
    4 (mn + C1/2) (E[xy] - mn + C2/2) / ((m^2 + n^2 + C1) (E[x^2 + y^2] - m^2 - n^2 + C2)). Only the sum of
    the two variances occurs, so four filtered images are enough. Everything is computed in place and on
    whole tiles, incomplete windows at their edges included: temporaries and cropped rows take longer.
    """
    x, y, mean_x, mean_y, contrast, variances = memory
    x[:], y[:] = output, reference
    _window_means(x, mean_x)
    _window_means(y, mean_y)
    _window_means(np.multiply(x, y, out=variances), contrast, C2 / 2)
    x *= x
    y *= y
    x += y
    _window_means(x, variances, C2)
    means = np.multiply(mean_x, mean_y, out=x)
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


def _window_means(image: NDArray[np.float64], out: NDArray[np.float64], offset: float = 0.0) -> None:
    """Write the Gaussian-weighted mean of the window around every pixel, and `offset` added, into `out`.

    The 2-D window is the product of two 1-D ones. Values of windows that cross the edge are not used.
    """
    cv2.sepFilter2D(image, -1, _KERNEL, _KERNEL, dst=out, delta=offset)
