from typing import get_args

import numpy as np
import pytest
from skimage import color, data

from edsr_int8.metrics.protocols import PROTOCOLS, card_inputs, luma, scored_pixels
from edsr_int8.metrics.psnr import psnr_db
from edsr_int8.pipeline.rows import ProtocolName


def test_every_protocol_that_a_row_may_name_is_here():
    assert set(PROTOCOLS) == set(get_args(ProtocolName))


@pytest.mark.parametrize(
    ("name", "scale", "border"),
    [("official", 2, 8), ("official", 4, 10), ("basicsr", 3, 3), ("basicsr", 1, 1),
     ("benchmark_y", 4, 4), ("card", 2, 0)],
)  # fmt: skip
def test_borders_are_those_of_the_publishers(name, scale, border):
    position = np.arange(60 * 50 * 3).reshape(60, 50, 3) % 256  # as uint8: every row and column is told apart
    image = position.astype(np.uint8)
    expected = image[border : 60 - border, border : 50 - border]
    pixels = scored_pixels(image, PROTOCOLS[name], scale)
    assert pixels.shape[:2] == expected.shape[:2]
    if PROTOCOLS[name].channels == "RGB":
        np.testing.assert_array_equal(pixels, expected)


def test_luma_equals_scikit_image_and_spans_16_to_235():
    image = data.astronaut()[::7, ::5]
    np.testing.assert_allclose(luma(image), color.rgb2ycbcr(image)[..., 0], atol=1e-9)
    np.testing.assert_allclose(luma(np.array([[[0, 0, 0], [255, 255, 255]]])), [[16, 235]], atol=1e-9)


def test_float_outputs_are_clipped_and_rounded_half_to_even_but_not_by_the_card():
    image = np.full((1, 1, 3), (-3.0, 2.5, 256.75))
    rounding = [row for row in PROTOCOLS.values() if row.rounded and row.channels == "RGB"]
    assert [row.name for row in rounding] == ["official", "basicsr"]
    large = np.tile(image, (30, 30, 1))
    for row in rounding:
        np.testing.assert_array_equal(scored_pixels(large, row, 2)[0, 0], [0, 2, 255])
    np.testing.assert_array_equal(scored_pixels(large, PROTOCOLS["card"], 2)[0, 0], [0, 2.5, 255])


def test_whole_grey_levels_lose_less_than_a_hundredth_of_a_decibel_under_the_card_at_30_db():
    random = np.random.default_rng(0)
    reference = random.integers(60, 196, (200, 200, 3)).astype(np.uint8)
    output = reference + random.normal(0, 255 / 10**1.5, reference.shape)  # 30 dB
    exact, whole = (
        psnr_db(scored_pixels(image, PROTOCOLS["card"], 2), reference)
        for image in (output, np.rint(output.clip(0, 255)).astype(np.uint8))
    )
    assert exact == pytest.approx(30, abs=0.05)
    # rounding adds its variance, 1/12, to the mean square
    assert exact - whole == pytest.approx(10 * np.log10(1 + 10**3 / (12 * 255**2)), abs=0.001)


def test_card_pairs_have_the_fixed_shape_and_are_means_over_areas():
    random = np.random.default_rng(0)
    lr, hr = (random.integers(0, 256, shape).astype(np.uint8) for shape in ((40, 36, 3), (80, 72, 3)))
    fixed_lr, fixed_hr = card_inputs(lr, hr, (10, 18), 2)
    assert fixed_lr.shape == (10, 18, 3) and fixed_hr.shape == (20, 36, 3)
    means = lr.reshape(10, 4, 18, 2, 3).mean(axis=(1, 3))
    assert np.abs(fixed_lr - means).max() <= 0.5
    assert np.abs(fixed_hr - hr.reshape(20, 4, 36, 2, 3).mean(axis=(1, 3))).max() <= 0.5


def test_card_pairs_of_that_shape_already_stay_as_they_are():
    hr = data.astronaut()[:64, :96]
    fixed_lr, fixed_hr = card_inputs(hr[::2, ::2], hr, (32, 48), 2)
    np.testing.assert_array_equal(fixed_lr, hr[::2, ::2])
    np.testing.assert_array_equal(fixed_hr, hr)
