import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edsr_int8.report.page import axis

VALUES = st.lists(st.floats(-1e6, 1e6).map(lambda x: round(x, 6)), min_size=1, max_size=8)


@settings(deadline=None, max_examples=50)
@given(VALUES)
def test_all_values_and_ticks_stand_within_the_box(values):
    x = axis.linear(values)
    assert all(0 <= x.percent(value) <= 100 for value in [*values, *x.ticks()])
    assert 2 <= len(x.ticks()) <= 8


@settings(deadline=None, max_examples=50)
@given(st.lists(st.floats(1e-4, 1e4), min_size=1, max_size=8))
def test_logarithmic_holds_its_values(values):
    x = axis.logarithmic(values)
    assert all(-0.01 <= x.percent(value) <= 100.01 for value in [*values, *x.ticks()])


def test_ticks_are_round():
    assert axis.Axis(0.0, 0.3).ticks() == [0.0, 0.1, 0.2, 0.3]
    assert axis.Axis(0.03, 3.0, log=True).ticks() == [0.05, 0.1, 0.2, 0.5, 1.0, 2.0]


def test_zero_axis_starts_at_zero_unless_a_value_is_below():
    assert axis.linear([0.1, 0.2], zero=True).low == 0.0
    assert axis.linear([-0.1, 0.2], zero=True).low < -0.1


def test_logarithm_places_the_geometric_mean_in_the_middle():
    assert axis.Axis(1.0, 100.0, log=True).percent(10.0) == pytest.approx(50.0)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 100), st.integers(0, 100)), max_size=8))
def test_labels_stand_apart_and_only_rise(marks):
    heights = axis.apart(marks, width=18, height=6)
    assert all(height >= y for (_, y), height in zip(marks, heights, strict=True))
    placed = [(x, height) for (x, _), height in zip(marks, heights, strict=True)]
    for i, (x, y) in enumerate(placed):
        assert all(abs(x - other) >= 18 or abs(y - height) >= 6 - 1e-9 for other, height in placed[:i])
