"""Finetuning: what it must never do, whatever it learns."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from edsr_int8.quantization.algorithms import finetune as module
from edsr_int8.quantization.algorithms.finetune import finetune
from edsr_int8.quantization.ir.scale_groups import calibrated
from edsr_int8.quantization.recipe import MODEL_CARD, Finetune
from edsr_int8.quantization.rewrites.fold_long_skip import fold_long_skip
from edsr_int8.quantization.simulation.colour_patterns import Patterns, checked_loss, colour_patterns
from edsr_int8.quantization.simulation.crops import Crops
from edsr_int8.quantization.simulation.objective import geometric_error, with_float_outputs
from edsr_int8.quantization.simulation.quantsim import Simulation
from edsr_int8.quantization.state import QuantizedNetwork, save

States = Callable[[str], QuantizedNetwork]


def test_error_is_lowered_and_equal_inputs_give_equal_bytes(
    quantized: States, crops: torch.Tensor, tmp_path: Path
) -> None:
    state, recipe = quantized("x1"), replace(MODEL_CARD, finetune=Finetune(steps=30, batch=4))
    for folder in ("a", "b"):
        learned = finetune(state, state.network, recipe, Crops(crops[:8], crops[8:]))
        save(tmp_path / folder, learned)
    held_out = [point.held_out_mse for point in learned.curve]
    kept = geometric_error(Simulation(learned), *with_float_outputs(state.network, crops[8:]))
    assert kept == pytest.approx(min(held_out)) and kept < held_out[0]
    for name in ("network.json", "arrays.npz"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


@pytest.mark.parametrize("gptq", [True, False])
def test_scale_that_is_in_weights_stays_where_they_learn_rounded(
    quantized: States, crops: torch.Tensor, gptq: bool
) -> None:
    state = quantized("x1")
    network = fold_long_skip(state.network)
    grids = {name: state.grids[name] for name in calibrated(network)}
    around = replace(state, network=network).on_grids(grids)
    recipe = replace(MODEL_CARD, fold_long_skip=True, gptq=gptq, finetune=Finetune(steps=20, batch=4))
    learned = finetune(around, state.network, recipe, Crops(crops[:8], crops[8:]))
    scale, before = learned.grids["body_end"].scale, around.grids["body_end"].scale
    assert (scale == pytest.approx(before, rel=1e-6)) != gptq


def test_colours_that_shift_are_drawn_more_often_and_all_are_drawn_first() -> None:
    images, random = torch.zeros(160, 3, 4, 16), np.random.default_rng(0)
    patterns = module.DrawnPatterns(Patterns(images, images))
    seen = np.zeros(160, int)
    for _ in range(200):
        some = patterns.draw(random)
        assert len(set(some)) == module.PATTERNS_A_STEP
        seen[some] += 1
        patterns.likely[some] = module.SELDOM + np.where(some < 4, 3.0, 0.0)
    assert seen.min() > 0 and seen[:4].min() > 3 * seen[4:].mean()


def test_stripes_shift_less_where_colours_are_covered(quantized: States, crops: torch.Tensor) -> None:
    """Of a network whose ranges were found on photographs: what is learned of them is seen on others."""
    state = quantized("direct")
    recipe = replace(MODEL_CARD, cover_colours=True, finetune=Finetune(steps=60, batch=4))
    checked = colour_patterns(state.network, recipe.statistics.seed).held_out
    learned = finetune(state, state.network, recipe, Crops(crops[:8], crops[8:]))
    before, after = (checked_loss(Simulation(each), checked) for each in (state, learned))
    assert after < 0.5 * before, (before, after)
