"""The second moment of a convolution's input windows, with few of the multiplications of its definition."""

import torch
from torch import Tensor
from torch.nn import functional


def second_moment(value: Tensor, kernel: tuple[int, ...]) -> Tensor:
    """Mean of x x^T over the windows x of an odd kernel's size around each pixel of NCHW `value`, IHW order.

    Zero-padded as the convolution pads. Two pairs of places in the window that are equally far apart see the
    same products, but for strips along the border: of the 81 blocks of a 3x3 kernel, 13 need the whole image.
    """
    count, channels, height, width = value.shape
    down, across = kernel[0] // 2, kernel[1] // 2
    places = [(y, x) for y in range(-down, down + 1) for x in range(-across, across + 1)]
    # So wide a border of zeros that no two places are farther apart.
    padded = functional.pad(value.transpose(0, 1), (2 * across,) * 2 + (2 * down,) * 2).contiguous()
    inside = padded[:, :, 2 * down : 2 * down + height, 2 * across : 2 * across + width]
    sums: dict[tuple[int, int], Tensor] = {}
    shape = (channels, len(places), channels, len(places))
    moment = torch.zeros(shape, dtype=torch.float64, device=value.device)
    for i, first in enumerate(places):
        strips = [(r, c, inside[:, :, r, c].flatten(1)) for r, c in _unreached(height, width, first)]
        for j, second in enumerate(places[i:], i):
            apart = (second[0] - first[0], second[1] - first[1])
            if apart not in sums:
                sums[apart] = _products(padded, apart)
            block = sums[apart].clone()
            for rows, columns, here in strips:
                there = padded[
                    :, :, _moved(rows, 2 * down + apart[0]), _moved(columns, 2 * across + apart[1])
                ]
                block -= (here @ there.flatten(1).T).double()
            moment[:, i, :, j], moment[:, j, :, i] = block, block.T
    size = channels * len(places)
    return moment.reshape(size, size) / (count * height * width)


def _products(padded: Tensor, apart: tuple[int, int]) -> Tensor:
    """Sum over pixels of x y^T: x, the channels of a pixel of CNHW `padded`; y, of the pixel `apart`."""
    shift = apart[0] * padded.shape[3] + apart[1]
    flat = padded.flatten(1)
    first, last = flat[:, : flat.shape[1] - abs(shift)], flat[:, abs(shift) :]
    return ((last @ first.T) if shift < 0 else (first @ last.T)).double()


def _unreached(height: int, width: int, place: tuple[int, int]) -> list[tuple[slice, slice]]:
    """Strips of the image that no window around one of its pixels has at this `place`: rows, then columns."""
    row, column = place
    rows = slice(max(0, height + row), height) if row < 0 else slice(0, min(row, height))
    columns = slice(max(0, width + column), width) if column < 0 else slice(0, min(column, width))
    others = slice(0, rows.start) if row < 0 else slice(rows.stop, height)
    strips = [(rows, slice(0, width)), (others, columns)]
    return [(r, c) for r, c in strips if r.start < r.stop and c.start < c.stop]


def _moved(span: slice, by: int) -> slice:
    return slice(span.start + by, span.stop + by)
