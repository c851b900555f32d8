"""Grids, by what they must never do."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edsr_int8.quantization.ir.grid import IMAGE_GRID, grid

ends = st.floats(-(2.0**99), 2.0**99, width=32)


@given(ends, ends)
def test_grid_holds_zero_and_reaches_both_ends(one: float, other: float) -> None:
    low, high = min(one, other), max(one, other)
    found = grid(low, high)
    assert 0 <= found.zero_point <= 255
    assert found.scale == np.float32(found.scale) > 0
    values = np.array([low, 0, high])
    codes = np.clip(np.rint(values / found.scale) + found.zero_point, 0, 255)
    rounded = (codes - found.zero_point) * found.scale
    if found != IMAGE_GRID:
        assert np.abs(rounded - values).max() <= found.scale * 0.501
    assert rounded[1] == 0


@pytest.mark.parametrize(
    ("low", "high", "zero_point"), [(0, 10, 0), (3, 10, 0), (-10, 0, 255), (-10, -3, 255), (-2.5, 7.5, 64)]
)
def test_zero_point(low: float, high: float, zero_point: int) -> None:
    assert grid(low, high).zero_point == zero_point


@pytest.mark.parametrize("span", [0, 1e-45, 1e-38])
def test_tensor_that_is_all_zero_gets_a_grid_that_can_be_computed_with(span: float) -> None:
    assert grid(0, span) == IMAGE_GRID


def test_range_is_that_of_the_outermost_codes() -> None:
    found = grid(-2.5, 7.5)
    assert found.range == (-64 * found.scale, 191 * found.scale)
