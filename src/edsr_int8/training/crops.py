"""Paired crops, rotated and mirrored; (seed, step) alone decide which."""

from collections.abc import Sequence

import numpy as np

from edsr_int8.data.images import Image
from edsr_int8.errors import InputError
from edsr_int8.training.pixels import Pixels, Place


def crops(pixels: Pixels, *, batch: int, patch: int, seed: int, step: int) -> tuple[Image, Image]:
    """(low, high) resolution crops, uint8 NHWC RGB, `patch` and `scale * patch` pixels high and wide.

    For each crop a folder is drawn, then one of its images, then a place, then one of the square's eight
    symmetries, all uniformly; a folder that is named twice is drawn twice as often. All crops of a step have
    one scale, which is drawn first where folders have several.
    """
    random = np.random.default_rng((seed, step))
    scales = sorted({folder[0].scale for folder in pixels.folders})
    scale = scales[_draw(random, len(scales))] if len(scales) > 1 else scales[0]
    folders = [folder for folder in pixels.folders if folder[0].scale == scale]
    low, high = zip(*(_crop(pixels, folders, patch, random) for _ in range(batch)), strict=True)
    return _stack(low), _stack(high)


def _stack(images: Sequence[Image]) -> Image:
    """As np.stack, but a pixel is copied as one value: in half the time where images are mirrored."""
    stacked = np.empty((len(images), *images[0].shape), np.uint8)
    for place, image in zip(stacked, images, strict=True):
        place.view("V3")[:] = image.view("V3")
    return stacked


def _draw(random: np.random.Generator, choices: int) -> int:
    return int(random.integers(choices))


def _crop(
    pixels: Pixels, folders: Sequence[Sequence[Place]], patch: int, random: np.random.Generator
) -> tuple[Image, Image]:
    folder = folders[_draw(random, len(folders))]
    place = folder[_draw(random, len(folder))]
    top, left = (_draw(random, length - patch + 1) for length in (place.height, place.width))
    symmetry = _draw(random, 8)
    low, high = pixels.images(place)
    s = place.scale
    return (
        transformed(low[top : top + patch, left : left + patch], symmetry),
        transformed(high[s * top : s * (top + patch), s * left : s * (left + patch)], symmetry),
    )


def transformed(image: Image, symmetry: int) -> Image:
    """The image under symmetry 0..7 of the square; 0 is the identity."""
    image = image.swapaxes(0, 1) if symmetry & 1 else image
    return image[:: -1 if symmetry & 2 else 1, :: -1 if symmetry & 4 else 1]


def check_patch(pixels: Pixels, patch: int) -> None:
    """InputError: a crop is larger than an image."""
    for place in (place for folder in pixels.folders for place in folder):
        if min(place.height, place.width) < patch:
            size = f"{place.width}x{place.height}"
            raise InputError(
                f"patch: {patch} is larger than lr of {place.name}, {size}; lower it or leave that image out"
            )
