"""Ranges widened after finetuning, where fine lines at full contrast clip, for a little noise elsewhere.

Finetuning minimizes the mean logarithm of a crop's error. There, a crop that clips counts no more than one
that rounds a little worse, and most crops are photographs, which seldom clip. But clipping is what is seen.
"""

import math

import numpy as np
import torch
from torch import Tensor

from edsr_int8.quantization.ir.layers import Network
from edsr_int8.quantization.recipe import Recipe
from edsr_int8.quantization.scheme import POWER_OF_TWO
from edsr_int8.quantization.simulation.crops import Crops
from edsr_int8.quantization.simulation.drawn_crops import line_crops
from edsr_int8.quantization.simulation.objective import geometric_error, visible_error, with_float_outputs
from edsr_int8.quantization.simulation.quantsim import ALL, TENSORS, Simulation
from edsr_int8.quantization.state import QuantizedNetwork

STEP = math.log(2) / 4  # of the natural logarithm of a range, at a time
ROUNDS = 2
BUDGET = 0.004  # grey levels squared of the held-out crops' error: rounding the output costs 20 times that
LITTLE = 0.01  # of the error that is seen on lines: a range that gains less alone stays
CROPS = 32  # of each kind


@torch.no_grad()
def widen_ranges(
    state: QuantizedNetwork, float_network: Network, recipe: Recipe, crops: Crops
) -> QuantizedNetwork:
    """Widen ranges as long as the error on lines falls, and that on held-out crops rises by BUDGET at most.

    Those first that alone gain most on lines for what they cost the held-out crops, all else rounded. Zero
    points stay, and so do grids of powers of two, which are too far apart.
    """
    if recipe.scheme in POWER_OF_TWO:
        return state
    simulation = Simulation(state, unify=recipe.unify_scales).to(crops.held_out.device)
    rounding = TENSORS if recipe.gptq else ALL
    lines = line_crops(CROPS, crops.held_out.shape[2], np.random.default_rng(recipe.statistics.seed))
    held_out = with_float_outputs(float_network, crops.held_out[:CROPS])
    drawings = with_float_outputs(float_network, lines.to(crops.held_out.device))

    def errors() -> tuple[float, float]:
        """Of the held-out crops, and what is seen of that on lines."""
        error = geometric_error(simulation, *held_out, rounding)
        return error, visible_error(simulation, *drawings, rounding)

    def errors_at(log_scale: Tensor, value: float) -> tuple[float, float]:
        log_scale.fill_(value)
        return errors()

    log_scales = simulation.own_log_scales()
    before, seen_before = errors()
    gains = {}
    for name, log_scale in log_scales.items():
        present = float(log_scale)
        error, seen = errors_at(log_scale, present + STEP)
        log_scale.fill_(present)
        if seen < (1 - LITTLE) * seen_before:
            gains[name] = (seen_before - seen) / max(error - before, BUDGET / 100)
    least = seen_before
    for name in sorted(gains, key=lambda name: -gains[name]) * ROUNDS:
        present = float(log_scales[name])
        error, seen = errors_at(log_scales[name], present + STEP)
        if error - before <= BUDGET and seen < least:
            least = seen
        else:
            log_scales[name].fill_(present)
    return simulation.result()
