"""Authorities: Set5's low-resolution images, made by MATLAB, and the published figures of its bicubic."""

from pathlib import Path

import numpy as np
import pytest

from edsr_int8.data.degrade.bicubic import cubic, enlarge, reduce
from edsr_int8.data.images import Image, read_rgb
from edsr_int8.metrics.psnr import psnr_db

NAMES = ("baby", "bird", "butterfly", "head", "woman")


def high(shared: Path, name: str, scale: int) -> Image:
    image = read_rgb(shared / "data" / "Set5" / "HR" / f"{name}.png")
    height, width = (length // scale * scale for length in image.shape[:2])
    return image[:height, :width]


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("name", NAMES)
def test_reduced_image_equals_matlab_bit_for_bit(shared: Path, name: str, scale: int) -> None:
    low = read_rgb(shared / "data" / "Set5" / "LR_bicubic" / f"X{scale}" / f"{name}x{scale}.png")
    np.testing.assert_array_equal(reduce(high(shared, name, scale), scale), low)


@pytest.mark.parametrize(("scale", "published_db"), [(2, 33.66), (3, 30.39), (4, 28.42)])
def test_enlarged_set5_scores_as_published(shared: Path, scale: int, published_db: float) -> None:
    """Y of BT.601, `scale` shaved: Lim et al. 2017, table 2."""

    def luma(image: Image) -> np.ndarray:
        y = image @ np.array([65.481, 128.553, 24.966]) / 255 + 16
        return y[scale:-scale, scale:-scale]

    images = [high(shared, name, scale) for name in NAMES]
    scores = [psnr_db(luma(enlarge(reduce(image, scale), scale)), luma(image)) for image in images]
    assert np.mean(scores) == pytest.approx(published_db, abs=0.02)


def test_kernel_is_one_at_zero_and_zero_at_the_other_integers() -> None:
    np.testing.assert_array_equal(cubic(np.arange(-3.0, 4)), [0, 0, 0, 1, 0, 0, 0])


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_flat_image_stays_flat_and_a_ramp_straight(scale: int) -> None:
    ramp = np.broadcast_to(np.arange(0, 240, 5, dtype=np.uint8)[:, None, None], (48, 12, 3))
    flat = np.full((24, 12, 3), 137, np.uint8)
    assert np.unique(enlarge(flat, scale)).tolist() == [137]
    assert np.unique(reduce(flat, scale)).tolist() == [137]
    inner = reduce(ramp, scale)[4:-4, 0, 0].astype(int)
    assert set(np.diff(inner)) == {5 * scale}


def test_size_that_is_no_multiple_is_refused() -> None:
    with pytest.raises(ValueError, match="7x6: crop it to multiples of 4"):
        reduce(np.zeros((6, 7, 3), np.uint8), 4)
