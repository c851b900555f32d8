"""The learning-rate schedule, by its corners."""

from dataclasses import replace

import pytest

from edsr_int8.training.schedule import Training, learning_rate


@pytest.fixture
def cosine(tiny: Training) -> Training:
    return replace(tiny, steps=110, learning_rate=4e-4, warmup=10)


def test_warm_up_rises_in_equal_steps_to_the_top(cosine: Training) -> None:
    assert [learning_rate(step, cosine) for step in (0, 4, 9, 10)] == pytest.approx([4e-5, 2e-4, 4e-4, 4e-4])


def test_half_of_the_cosine_is_half_of_the_rate_and_its_end_is_zero(cosine: Training) -> None:
    assert learning_rate(60, cosine) == pytest.approx(2e-4)
    assert learning_rate(110, cosine) == pytest.approx(0, abs=1e-12)
    assert 0 < learning_rate(109, cosine) < 1e-6


def test_stairs_halve_the_rate_as_published(tiny: Training) -> None:
    """Lim et al. 2017: 1e-4, halved at every 2e5 steps."""
    published = replace(tiny, steps=300_000, learning_rate=1e-4, warmup=0, halve_every=200_000)
    rates = [learning_rate(step, published) for step in (0, 199_999, 200_000, 299_999)]
    assert rates == pytest.approx([1e-4, 1e-4, 5e-5, 5e-5])


def test_it_never_rises_after_the_warm_up(cosine: Training) -> None:
    rates = [learning_rate(step, cosine) for step in range(10, 110)]
    assert rates == sorted(rates, reverse=True)
