"""Crops that are drawn: flat colours, stripes and lines, of which graphics are full, and photographs not.

All uint8 NCHW, squares of `length` pixels.
"""

from collections.abc import Sequence
from itertools import product

import numpy as np
import torch
from torch import Tensor

from edsr_int8.data.images import Image

FLAT = 0.3  # of colour crops; the others are striped
STRIPES = (2, 4, 8)  # pixels
CORNERS = np.array(list(product((0, 255), repeat=3)), np.uint8)  # of the RGB cube
# Of a line drawing: lines on 32 pixels, radians that they differ by, their width in pixels and their opacity.
LINES, SPREAD, WIDTH, OPACITY = (8, 24), 0.3, (0.5, 1.5), (0.6, 1.0)


def colour_crops(count: int, length: int, random: np.random.Generator) -> Tensor:
    """Flat colours of the RGB cube and stripes of two of its corners, at random: uint8 NCHW."""
    return _tensor([_colours(length, random) for _ in range(count)])


def _colours(length: int, random: np.random.Generator) -> Image:
    if random.random() < FLAT:
        corner = random.random() < 0.5
        colour = CORNERS[random.integers(8)] if corner else random.integers(0, 256, 3).astype(np.uint8)
        return np.tile(colour, (length, length, 1))
    first, second = CORNERS[random.choice(8, 2, replace=False)]
    stripe = int(random.choice(STRIPES))
    offset = int(random.integers(2 * stripe))
    return _stripes(first, second, stripe, offset, length, lying=random.random() < 0.5)


def _stripes(
    first: np.ndarray, second: np.ndarray, stripe: int, offset: int, length: int, *, lying: bool
) -> Image:
    places = np.arange(length) + offset
    line = np.where((places // stripe % 2 == 1)[:, None], second, first)
    across = np.tile(line[:, None], (1, length, 1))
    return across if lying else across.transpose(1, 0, 2)


def line_crops(count: int, length: int, random: np.random.Generator) -> Tensor:
    """Thin lines of one colour, in about one direction, on another colour, at random.

    Line drawings, text, hair, rigging: the finest texture at full contrast.
    """
    return _tensor([_lines(length, random) for _ in range(count)])


def _lines(length: int, random: np.random.Generator) -> Image:
    ground, ink = _two_colours(random)
    picture = np.tile(ground, (length, length, 1))
    down, across = np.mgrid[:length, :length] - (length - 1) / 2
    direction = random.uniform(0, np.pi)
    for _ in range(int(random.integers(*LINES)) * length // 32):
        angle = direction + SPREAD * random.standard_normal()
        distance = down * np.cos(angle) - across * np.sin(angle) - random.uniform(-0.6, 0.6) * length
        width = random.uniform(*WIDTH)
        cover = np.clip(0.5 + width / 2 - np.abs(distance), 0, min(width, 1))  # of each pixel by the line
        picture += (random.uniform(*OPACITY) * cover)[:, :, None] * (ink - picture)
    return np.rint(picture).astype(np.uint8)


def _two_colours(random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Any two, often black or a light one among them, as ink and paper are."""
    dark = random.uniform(0, 255, 3) * (random.random() < 0.5)
    light = random.uniform(180 * (random.random() < 0.5), 255, 3)
    return (dark, light) if random.random() < 0.5 else (light, dark)


def _tensor(pictures: Sequence[Image]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(np.stack(pictures).transpose(0, 3, 1, 2)))
