"""What calibration leaves out: against counting the values one by one, and on sets that do and do not fit."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage import data

from edsr_int8.data.images import write_png
from edsr_int8.quantization.analysis.coverage import (
    SIDE,
    clipped_share,
    measure_coverage,
    middle,
    spread,
)
from edsr_int8.quantization.calibration.counting import count
from edsr_int8.quantization.calibration.observe import observe


@given(st.integers(0, 2**32 - 1), st.floats(-2, 0), st.floats(0, 2))
def test_the_share_is_that_of_the_values_outside(seed: int, low: float, high: float) -> None:
    values = np.random.default_rng(seed).normal(size=1000).astype(np.float32)
    found = clipped_share(count(values), low, high)
    slack = 2**-7 * np.array([-1, 1])  # a bin's width
    most, least = (((values < low * (1 - s)) | (values > high * (1 - s))).mean() for s in -slack)
    assert min(most, least) <= found <= max(most, least)


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("photographs")
    images = {"astronaut": data.astronaut(), "flat": np.full((64, 64, 3), 120)}
    for name, image in images.items():
        write_png(folder / f"{name}.png", image[:160, :160].astype(np.uint8))
    return {name: folder / f"{name}.png" for name in images}


@pytest.mark.parametrize(("calibration", "least", "most"), [("astronaut", 0, 2e-4), ("flat", 0.3, 1)])
def test_a_flat_image_does_not_stand_for_a_photograph(
    float_graphs: Callable[[str], Path],
    photographs: dict[str, Path],
    tmp_path: Path,
    calibration: str,
    least: float,
    most: float,
) -> None:
    graph, histograms = float_graphs("x1"), tmp_path / "histograms.npz"
    observe(graph, [photographs[calibration]], histograms)
    clipped = measure_coverage(graph, histograms, [photographs["astronaut"]])
    assert least <= max(clipped.values()) <= most, clipped
    assert set(clipped) > {"head", "body.0.conv1", "body.0.conv2"}


def test_images_are_spread_over_all_sets() -> None:
    images = [Path(f"{i:02}.png") for i in range(20)]
    assert spread(images, 8) == [images[i] for i in (0, 2, 5, 7, 10, 12, 15, 17)]
    assert spread(images[:3], 8) == images[:3]


def test_only_the_middle_of_a_large_image_counts() -> None:
    image = np.random.default_rng(0).integers(0, 256, (200, 60, 3)).astype(np.uint8)
    np.testing.assert_array_equal(middle(image), image[36 : 36 + SIDE])
