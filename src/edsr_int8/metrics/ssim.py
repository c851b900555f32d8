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
    with ThreadPoolExecutor(threads) as pool:  # OpenCV and numpy let go of the interpreter lock
        totals = pool.map(
            lambda rows: _strip_total(output[rows], reference[rows]), _parts(len(output), _TILE[0])
        )
        return sum(totals) / output[2 * _EDGE :, 2 * _EDGE :].size


def _parts(length: int, step: int) -> list[slice]:
    """Overlapping parts of an axis whose windows, `step` at most, together are all of its windows once."""
    windows = length - 2 * _EDGE
    return [slice(first, min(first + step, windows) + 2 * _EDGE) for first in range(0, windows, step)]


def _strip_total(output: NDArray[Any], reference: NDArray[Any]) -> float:
    """Sum of SSIM over the windows of a strip one tile high, tile by tile in the same memory.

    Memory that is new for each tile takes a tenth of the time.
    """
    parts = _parts(output.shape[1], _TILE[1])
    memory = np.empty((6, output[:, parts[0]].size))
    total = 0.0
    for part in parts:
        tile = output[:, part]
        total += _total(tile, reference[:, part], memory[:, : tile.size].reshape(6, *tile.shape))
    return total


def _total(output: NDArray[Any], reference: NDArray[Any], memory: NDArray[np.float64]) -> float:
    """Sum of SSIM over the windows of a tile; `memory` is for six images of its shape.

    With means m, n of x and y, and window means E, the formula is
    4 (mn + C1/2) (E[xy] - mn + C2/2) / ((m^2 + n^2 + C1) (E[x^2 + y^2] - m^2 - n^2 + C2)): the two
    variances are needed as their sum only, so four filtered images do. In place, and on whole tiles
    with their incomplete windows at the edge, since temporaries and cropped rows take longer.
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


def _window_means(image: NDArray[np.float64], out: NDArray[np.float64], plus: float = 0.0) -> None:
    """Gaussian-weighted mean of the window around every pixel into `out`, `plus` a constant.

    The 2-D window is its 1-D one, twice. Windows that reach over the edge mean nothing.
    """
    cv2.sepFilter2D(image, -1, _KERNEL, _KERNEL, dst=out, delta=plus)
