"""MATLAB's `imresize(image, scale, 'bicubic')` for uint8 images and whole factors, bit for bit.

The low-resolution images behind published super-resolution figures were made by that function.
"""

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]


def reduce(image: Image, factor: int) -> Image:
    """Shrink a uint8 HWC image by a whole factor, antialiased: imresize(image, 1/factor, 'bicubic').

    ValueError: height or width is no multiple of `factor`.
    """
    if any(length % factor for length in image.shape[:2]):
        raise ValueError(f"image is {image.shape[1]}x{image.shape[0]}: crop it to multiples of {factor}")
    return _resize(image, 1 / factor)


def enlarge(image: Image, factor: int) -> Image:
    """Enlarge a uint8 HWC image by a whole factor: imresize(image, factor, 'bicubic')."""
    return _resize(image, float(factor))


def cubic(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Keys' cubic convolution kernel with a = -0.5 (IEEE TASSP 29(6), 1981, eq. 15)."""
    x = np.abs(x)
    near = (1.5 * x - 2.5) * x**2 + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return np.where(x <= 1, near, np.where(x <= 2, far, 0.0))


def _resize(image: Image, scale: float) -> Image:
    """Height first, then width. Each result is rounded to uint8: MATLAB keeps the type in between."""
    tall = _resize_rows(image, scale)
    return np.ascontiguousarray(_resize_rows(tall.swapaxes(0, 1), scale).swapaxes(0, 1))


def _resize_rows(image: Image, scale: float) -> Image:
    weights, rows = _taps(image.shape[0], scale)
    total = np.zeros((len(rows), *image.shape[1:]))
    for weight, row in zip(weights.T, rows.T, strict=True):
        total += weight.reshape(-1, *[1] * (image.ndim - 1)) * image[row]
    return np.clip(np.floor(total + 0.5), 0, 255).astype(np.uint8)


def _taps(length: int, scale: float) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Weights and source rows, both [output row, tap]; shrinking widens the kernel by 1 / scale."""
    narrowing = min(scale, 1.0)
    centre = (np.arange(round(length * scale)) + 0.5) / scale - 0.5
    first = np.floor(centre - 2 / narrowing).astype(np.int64)
    rows = first[:, None] + np.arange(int(np.ceil(4 / narrowing)) + 2)
    weights = narrowing * cubic(narrowing * (centre[:, None] - rows))
    weights /= weights.sum(axis=1, keepdims=True)
    used = weights.any(axis=0)
    mirrored = rows[:, used] % (2 * length)  # symmetric padding: ... 1 0 | 0 1 2 ... n-1 | n-1 n-2 ...
    return weights[:, used], np.where(mirrored < length, mirrored, 2 * length - 1 - mirrored)
