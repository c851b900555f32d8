"""Flat colours and stripes of saturated pairs: what graphics and screens are full of, and photographs hide.

What a network may be given is known: the RGB cube. So the chart serves every network, and it is made, not
fetched.
"""

from itertools import combinations, product

import numpy as np
from numpy.typing import NDArray

from edsr_int8.data.images import Image

FIELD = 24  # height and width of a field, pixels
MIDDLE = 8  # of a field, what is compared: away from its neighbours, and whole periods of its stripes
STRIPE = 4  # pixels
LEVELS = 5  # of each channel
COLUMNS = 14  # of the chart


def flat_fields(levels: int = LEVELS) -> NDArray[np.uint8]:
    """A field of each of levels^3 colours, evenly spread over the RGB cube: uint8 NHWC."""
    values = np.rint(np.linspace(0, 255, levels)).astype(np.uint8)
    colours = np.array(list(product(values, repeat=3)), np.uint8)
    return np.tile(colours[:, None, None], (1, FIELD, FIELD, 1))


def striped_fields(stripe: int = STRIPE) -> NDArray[np.uint8]:
    """Stripes of every two corners of the RGB cube, `stripe` pixels each, upright and lying: uint8 NHWC."""
    corners = flat_fields(2)[:, 0, 0]
    second = (np.arange(FIELD) // stripe % 2 == 1)[:, None]
    lines = [np.where(second, a, b) for a, b in combinations(corners, 2)]
    lying = np.stack([np.tile(line[:, None], (1, FIELD, 1)) for line in lines])
    return np.concatenate([lying, lying.transpose(0, 2, 1, 3)])


def chart() -> Image:
    """All fields in one image, row by row: uint8 HWC RGB. Unused places are black."""
    fields = np.concatenate([flat_fields(), striped_fields()])
    rows = -(-len(fields) // COLUMNS)
    places = np.zeros((rows * COLUMNS, *fields.shape[1:]), np.uint8)
    places[: len(fields)] = fields
    grid = places.reshape(rows, COLUMNS, FIELD, FIELD, 3).transpose(0, 2, 1, 3, 4)
    return np.ascontiguousarray(grid.reshape(rows * FIELD, COLUMNS * FIELD, 3))


def field_means(image: Image, scale: int = 1) -> NDArray[np.float64]:
    """Mean colour of the middle of every place of the chart, enlarged `scale` times: places x 3."""
    side, middle = FIELD * scale, MIDDLE * scale
    rows, columns = (length // side for length in image.shape[:2])
    places = image.reshape(rows, side, columns, side, 3).transpose(0, 2, 1, 3, 4)
    start = (side - middle) // 2
    inner = places[:, :, start : start + middle, start : start + middle]
    means: NDArray[np.float64] = inner.mean(axis=(2, 3), dtype=np.float64).reshape(-1, 3)
    return means
