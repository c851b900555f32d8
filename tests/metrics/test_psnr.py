import numpy as np
import pytest
from skimage import data
from skimage.metrics import peak_signal_noise_ratio

from edsr_int8.metrics.psnr import psnr_db


@pytest.fixture
def pair() -> tuple[np.ndarray, np.ndarray]:
    image = data.astronaut()[:64, :80]
    noise = np.random.default_rng(0).integers(-9, 10, image.shape)
    return image, np.clip(image + noise, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
def test_equals_scikit_image(pair, dtype):
    image, noisy = pair
    ours = psnr_db(noisy.astype(dtype), image)
    assert ours == pytest.approx(peak_signal_noise_ratio(image, noisy, data_range=255), abs=1e-9)


def test_differences_below_zero_do_not_wrap_around():
    assert psnr_db(np.full((4, 4), 1, np.uint8), np.full((4, 4), 2, np.uint8)) == pytest.approx(
        20 * np.log10(255)
    )


def test_an_identical_pair_counts_as_100_db_and_no_pair_as_more(pair):
    image, _ = pair
    assert psnr_db(image, image) == 100.0
    assert psnr_db(image + 1e-9, image) == 100.0


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_what_is_no_number_has_no_psnr(pair, wrong):
    output = pair[0].astype(np.float32)
    output[3, 5] = wrong
    with pytest.raises(ValueError, match="NaN or infinite"):
        psnr_db(output, pair[0])


def test_nothing_has_no_psnr():
    with pytest.raises(ValueError, match="no pixels"):
        psnr_db(np.zeros((0, 4, 3)), np.zeros((0, 4, 3)))


def test_other_shapes_are_refused(pair):
    with pytest.raises(ValueError, match="shapes differ"):
        psnr_db(pair[0], pair[1][:-1])
