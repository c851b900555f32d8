"""Crops of the calibration images: what rewrites, corrections and finetuning learn from, without labels."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, pad

from edsr_int8.data.images import Image, image_shape, read_rgb
from edsr_int8.errors import InputError
from edsr_int8.quantization.augmentation import PLAIN, Augmentation
from edsr_int8.quantization.recipe import Statistics
from edsr_int8.quantization.simulation.drawn_crops import colour_crops, line_crops

HELD_OUT = 8  # one image in so many only checks what the others taught
PIXELS = 2**13  # 8 crops of 32x32: for their gradients, a 43-million-parameter EDSR takes 12 GB


@dataclass(frozen=True)
class Crops:
    """uint8 NCHW, all of one shape."""

    training: Tensor
    held_out: Tensor

    def to(self, device: str) -> "Crops":
        """On `device`: the passes compute where their crops are."""
        return Crops(self.training.to(device), self.held_out.to(device))


def cut_crops(images: Sequence[Path], wanted: Statistics, augmented: Augmentation = PLAIN) -> Crops:
    """Crops to learn from, and an eighth as many to check on, of other images where there are two or more.

    Rotated and mirrored at random, and some `augmented`. Height and width are the patch's, or those of the
    smallest image. The same seed gives the same crops. InputError where there is no image.
    """
    if not images:
        raise InputError("there are no calibration images to learn from; name a set that has some")
    paths = sorted(images)
    length = min(wanted.patch, *(min(image_shape(path)) for path in paths))
    held = paths[::HELD_OUT] if len(paths) > 1 else paths
    rest = [path for i, path in enumerate(paths) if i % HELD_OUT] or paths
    random = np.random.default_rng(wanted.seed)
    checks = max(1, wanted.crops // HELD_OUT)
    cut = partial(_cut, length=length, stretched=augmented.stretched, random=random)
    crops = (cut(rest, wanted.crops), cut(held, checks))
    return Crops(*(_augmented(each, augmented, random) for each in crops))


def crops_at_once(crops: Tensor, most: int) -> int:
    """How many to compute gradients of together: on a GPU, fewer than `most` where more might not fit."""
    return min(most, max(1, PIXELS // crops[0, 0].numel())) if crops.is_cuda else most


def _cut(
    paths: Sequence[Path], count: int, *, length: int, stretched: float, random: np.random.Generator
) -> Tensor:
    """`count` crops of images drawn at random; each image is decoded once, one at a time."""
    sources = random.integers(len(paths), size=count)
    crops = np.empty((count, length, length, 3), np.uint8)
    for i in np.unique(sources):
        image = read_rgb(paths[i])
        for place in np.flatnonzero(sources == i):
            crops[place] = _crop(image, length, stretched, random)
    return torch.from_numpy(np.ascontiguousarray(crops.transpose(0, 3, 1, 2)))


def _crop(image: Image, length: int, stretched: float, random: np.random.Generator) -> Image:
    top, left = (random.integers(n - length + 1) for n in image.shape[:2])
    crop = image[top : top + length, left : left + length]
    crop = np.rot90(crop, int(random.integers(4)))[:, :: random.choice([-1, 1])]
    return _stretched(crop, random) if random.random() < stretched else crop


def _stretched(crop: Image, random: np.random.Generator) -> Image:
    """Contrast up to four times as high and brightness moved, each channel by itself."""
    gain = np.exp2(random.uniform(0, 2, 3))
    middle = random.uniform(0, 255, 3)
    stretched = (crop.astype(np.float32) - crop.mean(axis=(0, 1))) * gain + middle
    return np.clip(np.rint(stretched), 0, 255).astype(np.uint8)


def _augmented(crops: Tensor, shares: Augmentation, random: np.random.Generator) -> Tensor:
    """`crops` with colours, textures and lines in the place of some, and some at full contrast."""
    ends = np.cumsum((shares.colours, shares.full_contrast, shares.textures, shares.lines))
    if not ends[-1]:
        return crops
    colours, contrast, textures, lines = (random.random(len(crops))[:, None] < ends).T
    length, mixed = crops.shape[2], crops.clone()
    for place in np.flatnonzero(colours):
        mixed[place] = colour_crops(1, length, random)[0]
    for place in np.flatnonzero(contrast & ~colours):
        mixed[place] = _full_contrast(crops[place])
    if shares.textures:
        busiest = _busiest(crops)
        for place in np.flatnonzero(textures & ~contrast):
            mixed[place] = _full_contrast(crops[random.choice(busiest)])
    for place in np.flatnonzero(lines & ~textures):
        mixed[place] = line_crops(1, length, random)[0]
    return mixed


def _busiest(crops: Tensor) -> np.ndarray:
    """Places of the crops that differ most from their own blur, a quarter of all."""
    return np.argsort(-detail(crops.float()).numpy(), kind="stable")[: max(1, len(crops) // 4)]


def detail(images: Tensor) -> Tensor:
    """Of each crop, the mean square of its difference from its own blur over 3x3 pixels."""
    if images.shape[2] == 1:  # pixel: there is nothing to mirror at the edge
        return images.new_zeros(len(images))
    blurred = avg_pool2d(pad(images, (1, 1, 1, 1), mode="reflect"), 3, stride=1)
    return (images - blurred).square().mean(dim=(1, 2, 3))


def _full_contrast(crop: Tensor) -> Tensor:
    """All but the darkest and the lightest 3 % of its values spread over 0..255, the channels alike."""
    low, high = np.percentile(crop.numpy(), (3, 97))
    spread = (crop.float() - low) * (255 / max(high - low, 8.0))
    return spread.round().clamp(0, 255).to(torch.uint8)
