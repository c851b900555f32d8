"""The 8-bit grid of a tensor: scale and zero point, and what each scheme allows of them."""

import math
from dataclasses import dataclass

import numpy as np

from edsr_int8.quantization.scheme import DEFAULT, POWER_OF_TWO, SYMMETRIC, Scheme

STEPS = 255  # between the 256 codes of uint8
WIDE_STEPS = 65535  # between the codes of uint16
WIDER = 128  # codes of uint16 in a step of uint8
MIDDLE = 128  # int8 code = uint8 code - MIDDLE: the same value under another name
Range = tuple[float, float]


@dataclass(frozen=True)
class Grid:
    """The values scale * (code - zero_point), code 0..255; zero is always one of them.

    Codes are uint8 wherever numbers are chosen, whatever the scheme; qdq_onnx alone writes them as int8.
    """

    scale: float  # a float32
    zero_point: int

    @property
    def range(self) -> Range:
        """The values of the lowest and the highest code."""
        return self.scale * -self.zero_point, self.scale * (STEPS - self.zero_point)


@dataclass(frozen=True)
class WideGrid:
    """The values scale * (code - zero_point), code 0..65535."""

    scale: float  # a float32
    zero_point: int


def wide(grid: Grid) -> WideGrid:
    """Steps of a 128th over twice the range, so that nothing clips; every value of `grid` is one of them."""
    return WideGrid(grid.scale / WIDER, 2 * WIDER * grid.zero_point)


IMAGE_GRID = Grid(1.0, 0)  # of the images in and out: their codes are the grey levels


def image_grid(centre: int) -> Grid:
    """The image's grid where its values are grey levels less `centre`; the codes stay the grey levels."""
    return Grid(1.0, centre)


def grid(low: float, high: float, scheme: Scheme = DEFAULT) -> Grid:
    """The grid over low..high, widened to include zero. A tensor that is all zero gets scale 1."""
    low, high = min(low, 0.0), max(high, 0.0)
    if scheme in SYMMETRIC:
        scale = float(np.float32(max(-low / MIDDLE, high / (STEPS - MIDDLE))))
        if scale < np.finfo(np.float32).tiny:
            scale = 1.0
        return Grid(power_of_two(scale) if scheme in POWER_OF_TWO else scale, MIDDLE)
    scale = float(np.float32((high - low) / STEPS))
    if scale < np.finfo(np.float32).tiny:  # all zero, or so small that float32 could not divide by it
        return IMAGE_GRID
    return Grid(scale, int(np.rint(-low / scale)))


def power_of_two(scale: float) -> float:
    """The least power of two that is not below `scale`: no value of the range is lost."""
    return 2.0 ** math.ceil(math.log2(scale))
