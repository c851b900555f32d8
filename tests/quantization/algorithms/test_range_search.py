"""The search for ranges: it never makes the output worse, and moves only what it may."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from edsr_int8.quantization.algorithms.range_search import search_ranges
from edsr_int8.quantization.ir.scale_groups import calibrated
from edsr_int8.quantization.recipe import Override, Recipe
from edsr_int8.quantization.rewrites.fold_long_skip import fold_long_skip
from edsr_int8.quantization.simulation.crops import Crops
from edsr_int8.quantization.simulation.objective import mean_error, with_float_outputs
from edsr_int8.quantization.simulation.quantsim import Simulation
from edsr_int8.quantization.state import QuantizedNetwork

States = Callable[[str], QuantizedNetwork]
SEARCH = Recipe("int8", "search", 99.999)


def moved(before: QuantizedNetwork, after: QuantizedNetwork) -> set[str]:
    """Tensors whose scale a search changed."""
    pairs = {name: (grid.scale, after.grids[name].scale) for name, grid in before.grids.items()}
    return {name for name, (old, new) in pairs.items() if new != pytest.approx(old, rel=1e-4)}


def test_error_is_kept_or_lowered(quantized: States, crops: torch.Tensor) -> None:
    state, pair = quantized("x1"), with_float_outputs(quantized("x1").network, crops)
    found = search_ranges(state, state.network, SEARCH, Crops(crops, crops))
    assert moved(state, found)
    assert mean_error(Simulation(found), *pair) <= mean_error(Simulation(state), *pair)


def test_only_tensors_that_ask_are_searched(quantized: States, crops: torch.Tensor) -> None:
    state = quantized("x1")
    recipe = Recipe("int8", "minmax", overrides=(Override("body.*", "search", 99.999),))
    found = search_ranges(state, state.network, recipe, Crops(crops, crops))
    assert moved(state, found) and all(name.startswith("body.") for name in moved(state, found))


def test_scale_that_is_in_the_weights_stays(quantized: States, crops: torch.Tensor) -> None:
    state = quantized("x1")
    network = fold_long_skip(state.network)
    grids = {name: state.grids[name] for name in calibrated(network)}
    around = replace(state, network=network).on_grids(grids)
    found = search_ranges(around, state.network, SEARCH, Crops(crops, crops))
    assert moved(around, found) and "body_end" not in moved(around, found)
