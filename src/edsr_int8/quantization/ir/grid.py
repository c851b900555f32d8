"""The uint8 grid of a tensor: scale and zero point."""

from dataclasses import dataclass

import numpy as np

STEPS = 255  # between the 256 codes of uint8
Range = tuple[float, float]


@dataclass(frozen=True)
class Grid:
    """The values scale * (code - zero_point), code 0..255; zero is always one of them."""

    scale: float  # a float32
    zero_point: int

    @property
    def range(self) -> Range:
        """The values of the lowest and the highest code."""
        return self.scale * -self.zero_point, self.scale * (STEPS - self.zero_point)


IMAGE_GRID = Grid(1.0, 0)  # of the images in and out: their codes are the grey levels


def grid(low: float, high: float) -> Grid:
    """The grid over low..high, widened to include zero. A tensor that is all zero gets the image's."""
    low, high = min(low, 0.0), max(high, 0.0)
    scale = float(np.float32((high - low) / STEPS))
    if scale < np.finfo(np.float32).tiny:  # all zero, or so small that float32 could not divide by it
        return IMAGE_GRID
    return Grid(scale, int(np.rint(-low / scale)))
