"""Ranges against the values themselves, and grids by what they must never do."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edsr_int8.errors import InputError
from edsr_int8.quantization.calibration.counting import sketch
from edsr_int8.quantization.calibration.range_estimators import (
    IMAGE_GRID,
    Grid,
    choose,
    choose_all,
    grid,
    minmax_range,
    mse_range,
    percentile_range,
)
from edsr_int8.quantization.recipe import Override, Recipe

RESOLUTION = 2**-8
ends = st.floats(-(2.0**99), 2.0**99, width=32)


def rounded(values: np.ndarray, to: Grid) -> np.ndarray:
    """Quantized and back, in float64."""
    codes = np.clip(np.rint(values / to.scale) + to.zero_point, 0, 255)
    return (codes - to.zero_point) * to.scale


def heavy_tailed(kind: str) -> np.ndarray:
    values = np.random.default_rng(0).standard_t(3, 200_000).astype(np.float32)
    return {"signed": values, "positive": np.maximum(values, 0), "negative": np.minimum(values, 0)}[kind]


@given(ends, ends)
def test_grid_holds_zero_and_reaches_both_ends(one: float, other: float) -> None:
    low, high = min(one, other), max(one, other)
    found = grid(low, high)
    assert 0 <= found.zero_point <= 255
    assert found.scale == np.float32(found.scale) > 0
    values = np.array([low, 0, high])
    if found != IMAGE_GRID:
        assert np.abs(rounded(values, found) - values).max() <= found.scale * 0.501
    assert rounded(values, found)[1] == 0


@pytest.mark.parametrize(
    ("low", "high", "zero_point"), [(0, 10, 0), (3, 10, 0), (-10, 0, 255), (-10, -3, 255), (-2.5, 7.5, 64)]
)
def test_zero_point(low: float, high: float, zero_point: int) -> None:
    assert grid(low, high).zero_point == zero_point


@pytest.mark.parametrize("span", [0, 1e-45, 1e-38])
def test_dead_tensor_gets_a_grid_that_can_be_computed_with(span: float) -> None:
    assert grid(0, span) == IMAGE_GRID


@pytest.mark.parametrize(
    ("kind", "two_ends"), [("signed", (1, 1)), ("positive", (0, 1)), ("negative", (1, 0))]
)
def test_percentile_cuts_each_end_that_has_values(kind: str, two_ends: tuple[int, int]) -> None:
    values = heavy_tailed(kind)
    exact = np.percentile(values, [0.1, 99.9]) * two_ends
    np.testing.assert_allclose(percentile_range(sketch(values), 99.9), exact, rtol=RESOLUTION)


def test_minmax_is_exact() -> None:
    values = heavy_tailed("signed")
    assert minmax_range(sketch(values)) == (values.min(), values.max())


@pytest.mark.parametrize("kind", ["signed", "positive", "negative"])
def test_mse_range_is_as_good_as_the_best_by_trial(kind: str) -> None:
    values = heavy_tailed(kind)[:20_000]

    def error(low: float, high: float) -> float:
        return float(((rounded(values, grid(low, high)) - values) ** 2).mean())

    shrink = np.linspace(0.05, 1, 40)
    lows, highs = ([end * s for s in shrink] if end else [0.0] for end in (values.min(), values.max()))
    best = min(error(low, high) for low in lows for high in highs)
    assert error(*mse_range(sketch(values))) < 1.03 * best


@pytest.mark.parametrize("method", ["percentile", "minmax", "mse", "entropy"])
@pytest.mark.parametrize("value", [0.0, 7.0, -7.0])
def test_constant_tensor_is_on_its_own_grid(method: str, value: float) -> None:
    values = np.full(100, value, np.float32)
    chosen = grid(*choose(sketch(values), ranges=method, percentile=99.999))
    assert rounded(values, chosen) == pytest.approx(values, rel=1e-6)


def test_entropy_keeps_all_of_an_even_tensor() -> None:
    even = np.linspace(-1, 1, 50_000, dtype=np.float32)
    assert choose(sketch(even), ranges="entropy", percentile=0) == (-1, 1)


@pytest.mark.parametrize("outlier", [40, 4000])
def test_entropy_gives_up_a_lone_outlier(outlier: float) -> None:
    values = np.random.default_rng(0).normal(size=50_000).astype(np.float32)
    seen = sketch(np.append(values, np.float32(outlier)))
    assert choose(seen, ranges="entropy", percentile=0)[1] < outlier / 2


def test_entropy_does_not_clip_a_tensor_away() -> None:
    """All values in a narrow band far from zero: a range below it holds none, which tells nothing."""
    band = np.random.default_rng(0).uniform(70, 100, 10_000).astype(np.float32)
    assert choose(sketch(band), ranges="entropy", percentile=0)[1] > 90


def test_overrides_rule_the_tensors_that_they_name_the_last_one_first() -> None:
    values = heavy_tailed("signed")
    seen = dict.fromkeys(("head", "body.0.conv1", "body.1.conv1"), sketch(values))
    overrides = (Override("body.*.conv1", "minmax"), Override("body.1.*", "percentile", 99))
    found = choose_all(seen, Recipe("int8", "percentile", 99.9, overrides))
    assert found["head"] == percentile_range(seen["head"], 99.9)
    assert found["body.0.conv1"] == (values.min(), values.max())
    assert found["body.1.conv1"] == percentile_range(seen["head"], 99)


def test_override_that_names_no_tensor_is_refused_with_those_there_are() -> None:
    wanted = Recipe("int8", "minmax", overrides=(Override("tail*", "mse"),))
    with pytest.raises(InputError, match=r"overrides: 'tail\*' names no tensor; there are head, body"):
        choose_all(dict.fromkeys(("head", "body"), sketch(np.float32([1]))), wanted)


def test_unknown_method_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(
        InputError, match=r"'median' is unknown; known are entropy, minmax, mse, percentile, search"
    ):
        choose(sketch(np.float32([1])), ranges="median", percentile=99)
