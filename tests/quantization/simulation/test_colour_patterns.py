"""Patterns of colours: a period in the place of a picture without end, and how far its colours shift."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from int8_build import observed

from edsr_int8.data.colour_chart import striped_fields
from edsr_int8.quantization.passes import run
from edsr_int8.quantization.recipe import Carriers, Recipe
from edsr_int8.quantization.simulation import colour_patterns as module
from edsr_int8.quantization.simulation.colour_patterns import (
    Patterns,
    checked_loss,
    colour_loss,
    colour_patterns,
    colour_shifts,
    flat_patterns,
    striped_patterns,
)
from edsr_int8.quantization.simulation.quantsim import ALL, NOTHING, Rounding, Simulation
from edsr_int8.quantization.state import QuantizedNetwork

States = Callable[[str], QuantizedNetwork]
REWRITTEN = Recipe(
    "int8",
    "percentile",
    99.999,
    channel_transform=True,
    fold_long_skip=True,
    fold_head=True,
    collapse_tail=True,
    carriers=Carriers(trunk=2, tail=2),
)
PERIODS = 12  # of a pattern, in a picture whose middle nothing of its border reaches


def test_every_two_corners_are_striped_in_every_width() -> None:
    patterns = striped_patterns()
    assert patterns.shape == (28 * 3, 3, *module.SIDES)
    assert len({t.numpy().tobytes() for t in patterns}) == len(patterns)
    assert torch.equal(patterns, patterns[:, :, :1].expand_as(patterns))
    for width, some in zip(module.STRIPES, [patterns[i::3] for i in range(3)], strict=True):
        fields = striped_fields(width)[28:, :, : module.SIDES[1]]  # the chart's, upright
        expected = {field[0].tobytes() for field in fields}
        assert {np.ascontiguousarray(t[:, 0].T).tobytes() for t in some.numpy()} == expected


def test_flat_patterns_have_one_colour_each_and_the_seed_tells_them() -> None:
    patterns, other = (flat_patterns(64, np.random.default_rng(seed)) for seed in (0, 1))
    assert torch.equal(patterns, patterns[:, :, :1, :1].expand_as(patterns))
    assert set(patterns[:8].flatten().tolist()) == {0, 255} and not torch.equal(patterns, other)
    assert torch.equal(patterns, flat_patterns(64, np.random.default_rng(0)))


@pytest.fixture(scope="session")
def rewritten(
    float_graphs: Callable[[str], Path], portrait: np.ndarray, tmp_path_factory: pytest.TempPathFactory
) -> States:
    """One of the small networks after every rewrite of strict int8: with taps, carriers and a direct tail."""

    @cache
    def state(name: str) -> QuantizedNetwork:
        calibration = observed(float_graphs(name), tmp_path_factory.mktemp(name), portrait[:60, :80])
        return run(REWRITTEN, calibration)

    return state


@pytest.mark.parametrize("rounding", [NOTHING, ALL])
@pytest.mark.parametrize("name", ["x1", "x4", "direct", "mdsr"])
def test_a_pattern_stands_for_a_picture_without_end(rewritten: States, name: str, rounding: Rounding) -> None:
    """As what is in the middle of a picture of many periods; upright and lying."""
    simulation = Simulation(rewritten(name))
    for patterns in (striped_patterns()[::8].float(), striped_patterns()[1::8].transpose(2, 3).float()):
        with torch.no_grad():
            found = simulation(patterns, rounding=rounding, periodic=True)
            large = simulation(patterns.repeat(1, 1, PERIODS, PERIODS), rounding=rounding)
        height, width = found.shape[2:]
        top, left = height * (PERIODS // 2), width * (PERIODS // 2)
        difference = (found - large[:, :, top : top + height, left : left + width]).abs()
        # Another order of addition puts a few sums on the other side of a half.
        assert (difference < 0.01).double().mean() > (0.9999 if rounding is NOTHING else 0.98)


@pytest.mark.parametrize(("shift", "expected"), [(0.4, 0.0), (-0.4, 0.0), (2.5, 4.0), (-4.5, 16.0)])
def test_only_colours_that_shift_visibly_cost_anything(shift: float, expected: float) -> None:
    """The square of what is beyond the half grey level that is allowed; noise with mean 0 is no shift."""
    wanted = torch.full((3, 3, 4, 16), 100.0)
    noise = torch.tensor([20.0, -20.0]).repeat(8)

    def shifted(images: torch.Tensor, **_: object) -> torch.Tensor:
        return images + noise + torch.tensor([0.0, shift, 0.0]).reshape(1, 3, 1, 1)

    loss = colour_loss(colour_shifts(shifted, Patterns(wanted, wanted)), 0.5)  # type: ignore[arg-type]
    assert float(loss) == pytest.approx(module.WEIGHT * expected, abs=1e-4)


def test_a_wide_stripe_shifts_by_itself() -> None:
    """Two stripes of 8 pixels, one lighter and one darker by 3 levels: on average there is no shift."""
    wanted, error = torch.full((1, 3, 16, 4), 100.0), torch.tensor([3.0, -3.0]).repeat_interleave(8)

    def shifted(images: torch.Tensor, **_: object) -> torch.Tensor:
        return images + error.reshape(1, 1, 16, 1)

    assert colour_shifts(shifted, Patterns(wanted, wanted)).tolist() == pytest.approx([3.0])  # type: ignore[arg-type]


def test_what_is_checked_on_is_upright_and_lying_and_other_flat_colours(quantized: States) -> None:
    state = quantized("x1")
    patterns, same = (colour_patterns(state.network, seed) for seed in (0, 0))
    for training, held_out, again in zip(patterns.training, patterns.held_out, same.held_out, strict=True):
        assert torch.equal(training.images[:84], held_out.images[:84])
        assert not torch.equal(training.images[84:], held_out.images[84:])
        assert torch.equal(held_out.wanted, again.wanted)
    assert [t.images.shape[2:] for t in patterns.training] == [(4, 16), (16, 4)]
    assert checked_loss(Simulation(state), patterns.held_out, NOTHING) == 0
    shifts = torch.cat([colour_shifts(Simulation(state), each) for each in patterns.held_out])
    found = checked_loss(Simulation(state), patterns.held_out)
    assert found == pytest.approx(
        float(module.WEIGHT * (shifts.detach() - 1).clamp(min=0).square().mean()), rel=1e-4
    )
