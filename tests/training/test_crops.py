"""Crops: both images of a pair are cut and turned alike, and nothing but (seed, step) decides which."""

from pathlib import Path

import numpy as np
import pytest

from edsr_int8.data.images import write_png
from edsr_int8.errors import InputError
from edsr_int8.training.crops import check_patch, crops, transformed
from edsr_int8.training.pixels import Pixels, decode


@pytest.fixture
def doubled(tmp_path: Path) -> Pixels:
    """Each high-resolution image is the low one with every pixel doubled: aligned crops can be told."""
    random = np.random.default_rng(1)
    for name, size in (("a", (20, 31)), ("b", (24, 17))):
        low = random.integers(0, 256, (*size, 3), np.uint8)
        write_png(tmp_path / "lr" / f"{name}.png", low)
        write_png(tmp_path / "hr" / f"{name}.png", low.repeat(2, axis=0).repeat(2, axis=1))
    return decode([tmp_path], scales=[2], store=tmp_path / "store")


def test_pairs_stay_aligned_in_every_symmetry(doubled: Pixels) -> None:
    low, high = crops(doubled, batch=64, patch=8, seed=3, step=5)
    assert low.shape == (64, 8, 8, 3)
    assert high.shape == (64, 16, 16, 3)
    np.testing.assert_array_equal(low.repeat(2, axis=1).repeat(2, axis=2), high)


def test_the_eight_symmetries_are_all_different() -> None:
    image = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    assert len({transformed(image, symmetry).tobytes() for symmetry in range(8)}) == 8


def test_every_symmetry_and_every_place_is_drawn(doubled: Pixels) -> None:
    """A crop almost as large as the image: 24 - 16 = 8 and 17 - 16 = 1 leave 9 x 2 places, each in 8 ways."""
    only_b = Pixels(doubled.memory, [doubled.folders[0][1:]], None)
    drawn = {
        crop.tobytes()
        for step in range(40)
        for crop in crops(only_b, batch=32, patch=16, seed=0, step=step)[0]
    }
    assert len(drawn) == 9 * 2 * 8


def test_seed_and_step_decide(doubled: Pixels) -> None:
    def cut(seed: int, step: int) -> bytes:
        return crops(doubled, batch=4, patch=8, seed=seed, step=step)[0].tobytes()

    assert cut(3, 7) == cut(3, 7)
    assert len({cut(3, 7), cut(3, 8), cut(4, 7)}) == 3


def test_folder_named_three_times_is_drawn_three_times_as_often(tmp_path: Path) -> None:
    for name, level in (("dark", 0), ("bright", 255)):
        for side in ("lr", "hr"):
            write_png(tmp_path / name / side / "x.png", np.full((8, 8, 3), level, np.uint8))
    dark, bright = tmp_path / "dark", tmp_path / "bright"
    pixels = decode([dark, dark, dark, bright], scales=[1], store=tmp_path / "store")
    low, _ = crops(pixels, batch=2000, patch=1, seed=0, step=0)
    assert (low == 255).mean() == pytest.approx(1 / 4, abs=0.04)


def test_crop_larger_than_an_image_is_refused(doubled: Pixels) -> None:
    with pytest.raises(InputError, match=r"^patch: 18 is larger than lr of b, 17x24; lower it"):
        check_patch(doubled, 18)
    check_patch(doubled, 17)
