"""Camera shake: properties of light, and OpenCV's convolution."""

import cv2
import numpy as np
import pytest

from edsr_int8.data.degrade.blur import expose, kernel, shake, to_light, trajectory

SEEDS = range(12)


def photograph(side: int = 40) -> np.ndarray:
    return np.random.default_rng(5).integers(0, 256, (side, side, 3), np.uint8)


def shaken(seed: int, length_px: float = 18) -> np.ndarray:
    return kernel(trajectory(np.random.default_rng(seed), length_px=length_px))


@pytest.mark.parametrize("length_px", [5, 25])
def test_trajectory_is_as_long_as_asked(length_px: float) -> None:
    path = trajectory(np.random.default_rng(3), length_px=length_px)
    assert np.abs(np.diff(path)).sum() == pytest.approx(length_px)


@pytest.mark.parametrize("seed", SEEDS)
def test_kernel_keeps_the_light_and_is_centred(seed: int) -> None:
    weights = shaken(seed)
    offsets = np.arange(len(weights)) - len(weights) // 2
    assert weights.shape[0] % 2 == 1
    assert weights.min() >= 0
    assert weights.sum() == pytest.approx(1)
    assert weights.sum(axis=0) @ offsets == pytest.approx(0, abs=1e-9)
    assert weights.sum(axis=1) @ offsets == pytest.approx(0, abs=1e-9)


def test_exposure_keeps_the_mean_of_linear_light() -> None:
    """On a bright patch far from the border no light is lost; rounding to uint8 is all that differs."""
    image = np.zeros((61, 61, 3), np.uint8)
    image[26:35, 26:35] = 250
    before, after = (to_light(taken).sum() for taken in (image, expose(image, shaken(2))))
    assert after == pytest.approx(before, rel=2e-3)


def test_exposure_equals_a_convolution_in_linear_light() -> None:
    image, weights = photograph(), shaken(4)
    light = cv2.filter2D(to_light(image), -1, weights[::-1, ::-1], borderType=cv2.BORDER_REFLECT)
    expected = 255 * light ** (1 / 2.2)
    assert np.abs(expose(image, weights) - expected).max() <= 0.5 + 1e-6


def test_unmoved_camera_takes_every_grey_level_as_it_is() -> None:
    image = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, axis=2)
    np.testing.assert_array_equal(expose(image, np.ones((1, 1))), image)


def test_equal_seeds_give_equal_images_and_others_do_not() -> None:
    image = photograph()
    np.testing.assert_array_equal(shake(image, seed=(1, 7)), shake(image, seed=(1, 7)))
    assert (shake(image, seed=(1, 7)) != shake(image, seed=(1, 8))).any()


def test_longer_ways_blur_more() -> None:
    image = photograph()
    spread = [np.mean([expose(image, shaken(s, px)).std() for s in SEEDS]) for px in (5, 25)]
    assert spread[1] < spread[0] < image.std()
