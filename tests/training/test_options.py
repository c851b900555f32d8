"""The learning-rate schedule, by its corners."""

import pytest

from edsr_int8.training.options import TrainingOptions, learning_rate

OPTIONS = TrainingOptions(steps=110, batch=1, patch=8, learning_rate=4e-4, warmup=10)


def test_warm_up_rises_in_equal_steps_to_the_top() -> None:
    assert [learning_rate(step, OPTIONS) for step in (0, 4, 9, 10)] == pytest.approx([4e-5, 2e-4, 4e-4, 4e-4])


def test_half_of_the_cosine_is_half_of_the_rate_and_its_end_is_zero() -> None:
    assert learning_rate(60, OPTIONS) == pytest.approx(2e-4)
    assert learning_rate(110, OPTIONS) == pytest.approx(0, abs=1e-12)
    assert 0 < learning_rate(109, OPTIONS) < 1e-6


def test_it_never_rises_after_the_warm_up() -> None:
    rates = [learning_rate(step, OPTIONS) for step in range(10, 110)]
    assert rates == sorted(rates, reverse=True)
