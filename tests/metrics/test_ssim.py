import numpy as np
import pytest
from scipy import ndimage
from skimage import data
from skimage.metrics import structural_similarity

from edsr_int8.metrics.ssim import C1, ssim


def photographs(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    image = data.astronaut()[100 : 100 + height, 150 : 150 + width]
    noise = np.random.default_rng(0).normal(0, 12, image.shape)
    return image, np.clip(ndimage.gaussian_filter(image, (1, 1, 0)) + noise, 0, 255).astype(np.uint8)


def written_out(x: np.ndarray, y: np.ndarray) -> float:
    """The formula for one channel, with the 2-D window and each variance by itself."""
    steps = np.arange(-5, 6)
    window = np.exp(-(steps[:, None] ** 2 + steps**2) / (2 * 1.5**2))
    window /= window.sum()

    def mean(image: np.ndarray) -> np.ndarray:
        return ndimage.correlate(image, window)[5:-5, 5:-5]

    x, y = x.astype(np.float64), y.astype(np.float64)
    variance_x, variance_y = mean(x * x) - mean(x) ** 2, mean(y * y) - mean(y) ** 2
    covariance = mean(x * y) - mean(x) * mean(y)
    luminance = (2 * mean(x) * mean(y) + 6.5025) / (mean(x) ** 2 + mean(y) ** 2 + 6.5025)
    return float((luminance * (2 * covariance + 58.5225) / (variance_x + variance_y + 58.5225)).mean())


@pytest.mark.parametrize(  # a window in a column; tiles full, just over, several
    ("height", "width"), [(11, 30), (74, 40), (75, 266), (150, 267), (30, 340)]
)
def test_equals_scikit_image_inside_its_border(height, width):
    image, other = photographs(height, width)
    _, whole = structural_similarity(
        image, other, data_range=255, channel_axis=2, gaussian_weights=True, sigma=1.5,
        use_sample_covariance=False, full=True,
    )  # fmt: skip
    assert ssim(other, image) == pytest.approx(whole[5:-5, 5:-5].mean(), abs=1e-9)


def test_equals_the_formula_written_out():
    image, other = photographs(50, 41)
    expected = np.mean([written_out(image[..., channel], other[..., channel]) for channel in range(3)])
    assert ssim(image, other) == pytest.approx(expected, abs=1e-9)


def test_takes_fractions_of_grey_levels_and_one_channel():
    image, other = photographs(40, 33)
    x, y = image.mean(axis=2), other.mean(axis=2) + 0.25
    assert ssim(x, y) == pytest.approx(written_out(x, y), abs=1e-9)


def test_flat_images_differ_by_their_luminance_alone():
    light, dark = np.full((20, 20, 3), 200, np.uint8), np.full((20, 20, 3), 100, np.uint8)
    assert ssim(light, dark) == pytest.approx((2 * 200 * 100 + C1) / (200**2 + 100**2 + C1), abs=1e-9)


def test_flat_areas_that_differ_are_as_exact_as_photographs():
    """Where float32 is off by 4e-5: its rounding of the squares is all that is left of the variances."""
    squares = (np.arange(120)[:, None] // 60 + np.arange(120) // 60) % 2
    x, y = np.where(squares, 255, 155), np.where(squares, 155, 255)
    assert ssim(x, y) == pytest.approx(written_out(x, y), abs=1e-9)


def test_any_number_of_threads_gives_the_same():
    image, other = photographs(200, 340)
    assert ssim(image, other, threads=1) == ssim(image, other, threads=5)


def test_an_identical_pair_scores_1():
    image, _ = photographs(30, 30)
    assert ssim(image, image) == pytest.approx(1.0, abs=1e-12)


def test_images_smaller_than_the_window_or_of_other_shape_are_refused():
    with pytest.raises(ValueError, match="11x11"):
        ssim(np.zeros((10, 40)), np.zeros((10, 40)))
    with pytest.raises(ValueError, match="shapes differ"):
        ssim(np.zeros((20, 40)), np.zeros((40, 20)))
