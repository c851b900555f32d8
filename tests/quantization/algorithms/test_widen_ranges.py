"""Widening ranges: lines gain, other crops pay no more than that is worth, and nothing else moves."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch

from edsr_int8.quantization.algorithms import widen_ranges as module
from edsr_int8.quantization.algorithms.widen_ranges import ROUNDS, STEP, widen_ranges
from edsr_int8.quantization.ir.grid import Grid
from edsr_int8.quantization.ir.scale_groups import calibrated
from edsr_int8.quantization.recipe import MODEL_CARD
from edsr_int8.quantization.rewrites.fold_long_skip import fold_long_skip
from edsr_int8.quantization.simulation.colour_patterns import Patterns
from edsr_int8.quantization.simulation.crops import Crops
from edsr_int8.quantization.simulation.drawn_crops import line_crops
from edsr_int8.quantization.simulation.objective import geometric_error, visible_error, with_float_outputs
from edsr_int8.quantization.simulation.quantsim import Simulation
from edsr_int8.quantization.state import QuantizedNetwork

States = Callable[[str], QuantizedNetwork]


def narrowed(state: QuantizedNetwork) -> QuantizedNetwork:
    return state.on_grids({name: Grid(g.scale * 2 / 3, g.zero_point) for name, g in state.grids.items()})


@pytest.fixture
def narrow(quantized: States) -> QuantizedNetwork:
    """A network that clips: its ranges are two thirds of what photographs need."""
    return narrowed(quantized("x1"))


def widened(state: QuantizedNetwork, crops: torch.Tensor) -> QuantizedNetwork:
    return widen_ranges(state, state.network, MODEL_CARD, Crops(crops, crops))


def factors(before: QuantizedNetwork, after: QuantizedNetwork) -> dict[str, float]:
    """How much wider each range became; zero points must be as they were."""
    assert all(after.grids[name].zero_point == grid.zero_point for name, grid in before.grids.items())
    return {name: after.grids[name].scale / grid.scale for name, grid in before.grids.items()}


def errors(state: QuantizedNetwork, crops: torch.Tensor) -> tuple[float, float]:
    """Of `crops`, and what is seen on the lines that widening looks at."""
    lines = line_crops(module.CROPS, crops.shape[2], np.random.default_rng(0))
    pairs = [with_float_outputs(state.network, images) for images in (crops, lines)]
    return geometric_error(Simulation(state), *pairs[0]), visible_error(Simulation(state), *pairs[1])


def test_lines_gain(narrow: QuantizedNetwork, crops: torch.Tensor) -> None:
    found = widened(narrow, crops)
    assert errors(found, crops)[1] < 0.9 * errors(narrow, crops)[1]
    assert max(factors(narrow, found).values()) > 1.1


def test_ranges_only_widen_and_by_whole_steps(narrow: QuantizedNetwork, crops: torch.Tensor) -> None:
    steps = np.log(list(factors(narrow, widened(narrow, crops)).values())) / STEP
    np.testing.assert_allclose(steps, np.rint(steps), atol=1e-3)
    assert steps.min() >= -1e-3 and steps.max() <= ROUNDS + 1e-3


def test_the_dearer_other_crops_are_the_less_they_pay(
    quantized: States, crops: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where they are of low contrast, so that wider ranges only cost them."""
    state, dim, paid, won = quantized("x1"), crops // 8 + 112, {}, {}
    error, seen = errors(state, dim)
    for price in (0.0, 0.1, 1e4):
        monkeypatch.setattr(module, "PRICE", price)
        found = errors(widened(state, dim), dim)
        paid[price], won[price] = found[0] - error, seen - found[1]
    assert paid[0.0] > 2 * paid[0.1] and won[0.1] >= 0.1 * paid[0.1] - 1e-5
    assert paid[1e4] <= 1e-5, paid


def test_colours_that_would_shift_count(
    quantized: States, crops: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As held-out crops that lose more, where the recipe covers colours; else they do not."""
    state, asked = quantized("x1"), []
    narrow = narrowed(state)

    def shifting(simulation: Simulation, patterns: Sequence[Patterns], *_: object) -> float:
        asked.append(len(patterns))
        return 40 * math.log(max(factors(narrow, simulation.result()).values())) * len(patterns)

    monkeypatch.setattr(module, "checked_loss", shifting)
    for covered in (False, True):
        recipe = replace(MODEL_CARD, cover_colours=covered)
        found = widen_ranges(narrow, state.network, recipe, Crops(crops, crops))
        assert (max(factors(narrow, found).values()) > 1.1) != covered
    assert set(asked) == {0, 2}


def test_ranges_that_clip_nothing_stay(quantized: States, crops: torch.Tensor) -> None:
    state = quantized("x1")
    ample = state.on_grids({name: Grid(g.scale * 4, g.zero_point) for name, g in state.grids.items()})
    assert factors(ample, widened(ample, crops)) == pytest.approx(dict.fromkeys(state.grids, 1.0))


def test_scale_that_is_in_the_weights_stays(narrow: QuantizedNetwork, crops: torch.Tensor) -> None:
    network = fold_long_skip(narrow.network)
    grids = {name: narrow.grids[name] for name in calibrated(network)}
    around = replace(narrow, network=network).on_grids(grids)
    found = factors(around, widened(around, crops))
    assert found["body_end"] == pytest.approx(1.0) and max(found.values()) > 1.1


def test_powers_of_two_stay(narrow: QuantizedNetwork, crops: torch.Tensor) -> None:
    state = Simulation(replace(narrow, scheme="int8_power_of_two")).result()
    recipe = replace(MODEL_CARD, scheme="int8_power_of_two")
    assert widen_ranges(state, state.network, recipe, Crops(crops, crops)).grids == state.grids


def test_crops_of_one_pixel_are_taken(quantized: States) -> None:
    """Of calibration images of which one is a single pixel wide."""
    state = quantized("x1")
    assert min(factors(state, widened(state, torch.full((4, 3, 1, 1), 90, dtype=torch.uint8))).values()) >= 1
