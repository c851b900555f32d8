"""Exact tiles: run tile by tile, a network gives the same picture as on the whole image.

A pixel of the output depends on input pixels at most `radius` away (the radius of the receptive field).
So the output of a tile is right except within `radius` of an edge beyond which the image continues. Tiles
at the image's border must end there too, not be padded: zero padding acts in every layer, so the output of
a padded tile would differ.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from edsr_int8.errors import InputError
from edsr_int8.progress import bar

MIB = 2**20
# A tile keeps at least this many pixels in each direction; with fewer, nearly all of the work is halo.
MIN_KEPT = 8


@dataclass(frozen=True)
class Span:
    """Along one axis: a tile reads pixels start..stop and keeps first..last, both without the end."""

    start: int
    stop: int
    first: int
    last: int


def spans(length: int, tile: int, radius: int) -> list[Span]:
    """Spans of `tile` pixels that together keep each of the pixels 0..length once.

    Spans at the end shift inward. InputError: the tile is shorter than the image and all halo.
    """
    if tile < length and tile <= 2 * radius:
        raise InputError(
            f"a tile of {tile} pixels keeps nothing at a receptive radius of {radius}; "
            f"use one of {2 * radius + MIN_KEPT} or more"
        )
    found: list[Span] = []
    kept = 0
    while kept < length:
        start = min(max(kept - radius, 0), length - tile)
        stop = start + tile
        last = length if stop == length else stop - radius
        found.append(Span(start, stop, kept, last))
        kept = last
    return found


def tiles(height: int, width: int, tile_height: int, tile_width: int, radius: int) -> list[tuple[Span, Span]]:
    """Rows and columns of each tile, lengths in pixels. InputError: the image is smaller than the tile."""
    for length, tile in ((height, tile_height), (width, tile_width)):
        if tile > length:
            raise InputError(
                f"the image has {length} pixels where the fixed tile has {tile}; use a larger image"
            )
    across = spans(width, tile_width, radius)
    return [(down, column) for down in spans(height, tile_height, radius) for column in across]


def tile_shape(
    height: int, width: int, *, radius: int, budget_bytes: int, bytes_per_pixel: float, fixed_bytes: int = 0
) -> tuple[int, int]:
    """The tile (height, width) within the budget with which the fewest pixels are computed, halos included.

    A tile is taken to need fixed_bytes + bytes_per_pixel * its pixels. InputError: the smallest tile worth
    running does not fit; it names the budget that would be enough.
    """
    most = (budget_bytes - fixed_bytes) / bytes_per_pixel
    least = 2 * radius + MIN_KEPT
    shapes = []
    for rows in range(1, height + 1):
        tall = _tile_length(height, rows, radius)
        if rows > 1 and tall < least:
            break
        room = int(most // tall)
        if room >= min(width, least):
            columns = 1 if room >= width else -(-(width - 2 * radius) // (room - 2 * radius))
            wide = _tile_length(width, columns, radius)
            shapes.append((rows * columns * tall * wide, rows, tall, wide))
    if not shapes:
        tall, wide = min(height, least), min(width, least)
        needed = -(-(tall * wide * bytes_per_pixel + fixed_bytes) // MIB)
        raise InputError(
            f"memory_budget_mb: {budget_bytes // MIB} does not hold one tile of {tall}x{wide} pixels; "
            f"give at least {needed:.0f}"
        )
    return min(shapes)[2:]


def _tile_length(length: int, count: int, radius: int) -> int:
    """The least tile length with which `count` overlapping tiles cover `length`."""
    return -(-(length + 2 * radius * (count - 1)) // count)


def apply_tiled(
    run: Callable[[np.ndarray], np.ndarray],
    image: np.ndarray,
    *,
    scale: int,
    radius: int,
    tile: tuple[int, int],
) -> np.ndarray:
    """run(image), computed tile by tile; `run` takes NCHW and gives NCHW, `scale` times as high and wide.

    `radius` is that of the receptive field of `run`, `tile` is (height, width), all in pixels of the image.
    Equal to run(image) if `run` is translation-invariant bit for bit. InputError: the image is smaller
    than the tile.
    """
    cuts = tiles(image.shape[2], image.shape[3], *tile, radius)
    if len(cuts) == 1:
        return run(image)
    whole = np.empty(0)
    for down, across in bar(cuts, "tiles", unit="tile"):
        made = run(np.ascontiguousarray(image[:, :, down.start : down.stop, across.start : across.stop]))
        if not whole.size:
            shape = (*made.shape[:2], image.shape[2] * scale, image.shape[3] * scale)
            whole = np.empty(shape, made.dtype)
        into = (..., _scaled(down, 0, scale), _scaled(across, 0, scale))
        whole[into] = made[..., _scaled(down, down.start, scale), _scaled(across, across.start, scale)]
    return whole


def _scaled(span: Span, origin: int, scale: int) -> slice:
    """The output pixels that the span keeps, counted from the input pixel `origin`."""
    return slice((span.first - origin) * scale, (span.last - origin) * scale)
