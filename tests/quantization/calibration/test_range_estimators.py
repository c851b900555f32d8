"""Ranges against the values themselves."""

from typing import get_args

import numpy as np
import pytest

from edsr_int8.errors import InputError
from edsr_int8.quantization.calibration.counting import count
from edsr_int8.quantization.calibration.range_estimators import (
    ESTIMATORS,
    entropy_range,
    estimate_ranges,
    minmax_range,
    mse_range,
    percentile_range,
)
from edsr_int8.quantization.ir.grid import Grid, grid
from edsr_int8.quantization.recipe import Override, RangeEstimator, Recipe

RESOLUTION = 2**-8


def rounded(values: np.ndarray, to: Grid) -> np.ndarray:
    """Quantized and back, in float64."""
    codes = np.clip(np.rint(values / to.scale) + to.zero_point, 0, 255)
    return (codes - to.zero_point) * to.scale


def heavy_tailed(kind: str) -> np.ndarray:
    values = np.random.default_rng(0).standard_t(3, 200_000).astype(np.float32)
    return {"signed": values, "positive": np.maximum(values, 0), "negative": np.minimum(values, 0)}[kind]


@pytest.mark.parametrize(
    ("kind", "two_ends"), [("signed", (1, 1)), ("positive", (0, 1)), ("negative", (1, 0))]
)
def test_percentile_cuts_each_end_that_has_values(kind: str, two_ends: tuple[int, int]) -> None:
    values = heavy_tailed(kind)
    exact = np.percentile(values, [0.1, 99.9]) * two_ends
    np.testing.assert_allclose(percentile_range(count(values), 99.9), exact, rtol=RESOLUTION)


def test_minmax_is_exact() -> None:
    values = heavy_tailed("signed")
    assert minmax_range(count(values)) == (values.min(), values.max())


@pytest.mark.parametrize("kind", ["signed", "positive", "negative"])
def test_mse_range_is_as_good_as_the_best_by_trial(kind: str) -> None:
    values = heavy_tailed(kind)[:20_000]

    def error(low: float, high: float) -> float:
        return float(((rounded(values, grid(low, high)) - values) ** 2).mean())

    shrink = np.linspace(0.05, 1, 40)
    lows, highs = ([end * s for s in shrink] if end else [0.0] for end in (values.min(), values.max()))
    best = min(error(low, high) for low in lows for high in highs)
    assert error(*mse_range(count(values))) < 1.03 * best


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("value", [0.0, 7.0, -7.0])
def test_constant_tensor_is_on_its_own_grid(estimator: str, value: float) -> None:
    values = np.full(100, value, np.float32)
    chosen = grid(*ESTIMATORS[estimator](count(values), 99.999))
    assert rounded(values, chosen) == pytest.approx(values, rel=1e-6)


def test_entropy_keeps_all_of_a_uniform_tensor() -> None:
    uniform = np.linspace(-1, 1, 50_000, dtype=np.float32)
    assert entropy_range(count(uniform)) == (-1, 1)


@pytest.mark.parametrize("outlier", [40, 4000])
def test_entropy_gives_up_a_lone_outlier(outlier: float) -> None:
    values = np.random.default_rng(0).normal(size=50_000).astype(np.float32)
    seen = count(np.append(values, np.float32(outlier)))
    assert entropy_range(seen)[1] < outlier / 2


def test_entropy_does_not_clip_a_tensor_away() -> None:
    """All values in a narrow band far from zero: a range below it holds none, which tells nothing."""
    band = np.random.default_rng(0).uniform(70, 100, 10_000).astype(np.float32)
    assert entropy_range(count(band))[1] > 90


def test_overrides_rule_the_tensors_that_they_name_the_last_one_first() -> None:
    values = heavy_tailed("signed")
    seen = dict.fromkeys(("head", "body.0.conv1", "body.1.conv1"), count(values))
    overrides = (Override("body.*.conv1", "minmax"), Override("body.1.*", "percentile", 99))
    found = estimate_ranges(seen, Recipe("int8", "percentile", 99.9, overrides))
    assert found["head"] == percentile_range(seen["head"], 99.9)
    assert found["body.0.conv1"] == (values.min(), values.max())
    assert found["body.1.conv1"] == percentile_range(seen["head"], 99)


def test_override_that_names_no_tensor_is_refused_with_those_there_are() -> None:
    wanted = Recipe("int8", "minmax", overrides=(Override("tail*", "mse"),))
    with pytest.raises(InputError, match=r"overrides: 'tail\*' names no tensor; there are head, body"):
        estimate_ranges(dict.fromkeys(("head", "body"), count(np.float32([1]))), wanted)


def test_every_estimator_of_a_recipe_is_known() -> None:
    assert set(ESTIMATORS) == set(get_args(RangeEstimator))
