"""Crops of calibration images: how many, of what shape and from which images."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from edsr_int8.data.images import write_png
from edsr_int8.errors import InputError
from edsr_int8.quantization.augmentation import ALL_COLOURS, PLAIN, Augmentation, augmentation
from edsr_int8.quantization.recipe import MODEL_CARD, Finetune, Statistics
from edsr_int8.quantization.simulation.crops import cut_crops


@pytest.fixture
def levels(tmp_path: Path) -> list[Path]:
    """Ten images, each of one grey level: 0, 20, ... 180."""
    for i in range(10):
        write_png(tmp_path / f"{i}.png", np.full((20, 24 + i, 3), 20 * i, np.uint8))
    return sorted(tmp_path.glob("*.png"))


def test_count_shape_and_an_eighth_held_out(levels: list[Path]) -> None:
    found = cut_crops(levels, Statistics(32, 16, 0))
    assert found.training.shape == (32, 3, 16, 16) and found.held_out.shape == (4, 3, 16, 16)
    assert found.training.dtype == found.held_out.dtype == torch.uint8


def test_held_out_crops_are_of_other_images(levels: list[Path]) -> None:
    found = cut_crops(levels, Statistics(200, 8, 0), Augmentation(stretched=0.0))
    held_out, training = (set(crops.unique().tolist()) for crops in (found.held_out, found.training))
    assert held_out == {0, 160} and training == set(range(0, 200, 20)) - held_out


def test_one_image_is_both(levels: list[Path]) -> None:
    found = cut_crops(levels[3:4], Statistics(4, 64, 0))
    assert found.training.shape == (4, 3, 20, 20)  # no larger than the image
    assert len(found.held_out) == 1


def test_seed_tells_the_crops_and_order_of_the_images_does_not(levels: list[Path]) -> None:
    one, same, other = (
        cut_crops(images, Statistics(16, 8, seed))
        for images, seed in ((levels, 5), (levels[::-1], 5), (levels, 6))
    )
    assert torch.equal(one.training, same.training) and torch.equal(one.held_out, same.held_out)
    assert not torch.equal(one.training, other.training)


def test_no_image_is_refused() -> None:
    with pytest.raises(InputError, match="no calibration images"):
        cut_crops([], Statistics(1, 8, 0))


def test_all_colours_take_the_place_of_some_crops_and_leave_the_others(levels: list[Path]) -> None:
    plain, mixed = (cut_crops(levels, Statistics(400, 8, 0), shares) for shares in (PLAIN, ALL_COLOURS))
    same = (plain.training == mixed.training).flatten(1).all(1)
    assert 0.75 < same.float().mean() < 0.95
    colours = [crop for crop in mixed.training[~same] if len(torch.unique(crop.flatten(1), dim=1)[0]) <= 2]
    assert colours


def test_finetuning_learns_from_photographs_as_they_are_and_from_textures_and_lines() -> None:
    covering = replace(MODEL_CARD, cover_colours=True)
    assert augmentation(MODEL_CARD) == PLAIN and augmentation(covering) == ALL_COLOURS
    for recipe in (MODEL_CARD, covering):
        found = augmentation(replace(recipe, finetune=Finetune(9)))
        assert not found.stretched and not found.colours and found.textures and found.lines


def test_lines_take_the_place_of_some_crops_and_leave_the_others(levels: list[Path]) -> None:
    shares = Augmentation(0.0, lines=0.2)
    plain, mixed = (cut_crops(levels, Statistics(400, 8, 0), each) for each in (Augmentation(0.0), shares))
    same = (plain.training == mixed.training).flatten(1).all(1)
    assert 0.75 < same.float().mean() < 0.85
    assert all(len(crop.unique()) > 3 for crop in mixed.training[~same])


def test_textures_are_busy_crops_at_full_contrast(tmp_path: Path) -> None:
    """One image of the seven that teach is noise, so that more than half of the busiest quarter are."""
    random = np.random.default_rng(0)
    for i in range(8):
        noise = random.integers(100, 120, (24, 24, 3)) if i == 3 else np.full((24, 24, 3), 20 * i)
        write_png(tmp_path / f"{i}.png", noise.astype(np.uint8))
    found = cut_crops(sorted(tmp_path.glob("*.png")), Statistics(400, 8, 0), Augmentation(0.0, textures=0.25))
    spread = found.training.amax((1, 2, 3)).int() - found.training.amin((1, 2, 3)).int()
    assert 40 < int((spread == 255).sum()) < 80
