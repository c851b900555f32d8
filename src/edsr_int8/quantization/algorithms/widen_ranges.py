"""Ranges widened after finetuning, where fine lines at full contrast clip, for a little noise elsewhere.

Finetuning minimizes the mean logarithm of a crop's error. There, a crop that clips counts no more than one
that rounds a little worse, and most crops are photographs, which seldom clip. But clipping is what is seen.
"""

import math

import numpy as np
import torch

from edsr_int8.quantization.ir.layers import Network
from edsr_int8.quantization.recipe import Recipe
from edsr_int8.quantization.scheme import POWER_OF_TWO
from edsr_int8.quantization.simulation.colour_patterns import checked_loss, colour_patterns
from edsr_int8.quantization.simulation.crops import Crops
from edsr_int8.quantization.simulation.drawn_crops import line_crops
from edsr_int8.quantization.simulation.objective import geometric_error, visible_error, with_float_outputs
from edsr_int8.quantization.simulation.quantsim import ALL, TENSORS, Simulation
from edsr_int8.quantization.state import QuantizedNetwork

STEP = math.log(2) / 4  # of the natural logarithm of a range, at a time
ROUNDS = 2
LITTLE = 0.99  # of the loss: what is left of it after a gain that may be chance
PRICE = 0.1  # of a grey level squared on held-out crops, in error that is seen: a share of the lines' detail
CROPS = 32  # of each kind


@torch.no_grad()
def widen_ranges(
    state: QuantizedNetwork, float_network: Network, recipe: Recipe, crops: Crops
) -> QuantizedNetwork:
    """Widen ranges as long as what lines gain is worth what held-out crops pay.

    Those first that alone gain most, all else rounded. Colours that shift visibly count as finetuning counts
    them, where the recipe covers colours. Zero points stay, and so do grids of powers of two, which are too
    far apart.
    """
    if recipe.scheme in POWER_OF_TWO:
        return state
    device = crops.held_out.device
    simulation = Simulation(state, unify=recipe.unify_scales).to(device)
    rounding = TENSORS if recipe.gptq else ALL
    seed = recipe.statistics.seed
    lines = line_crops(CROPS, crops.held_out.shape[2], np.random.default_rng(seed))
    held_out = with_float_outputs(float_network, crops.held_out[:CROPS])
    drawings = with_float_outputs(float_network, lines.to(device))
    patterns = colour_patterns(float_network, seed, device).held_out if recipe.cover_colours else ()

    def error() -> float:
        """Of held-out crops, and more where colours shift, as finetuning checks it: grey levels squared."""
        shifts = checked_loss(simulation, patterns, rounding)
        return geometric_error(simulation, *held_out, rounding) * math.exp(shifts)

    def loss() -> float:
        """What is seen on lines, and the price of what held-out crops lost."""
        return visible_error(simulation, *drawings, rounding) + PRICE * max(0.0, error() - before)

    def wider(name: str, below: float) -> float:
        """The loss with a wider range of the tensor `name`, which stays so where the loss is `below`."""
        present = log_scales[name].clone()
        log_scales[name].add_(STEP)
        found = loss()
        if found >= below:
            log_scales[name].copy_(present)
        return found

    log_scales = simulation.own_log_scales()
    before = error()
    least = loss()
    alone = {name: wider(name, below=-math.inf) for name in log_scales}
    first = sorted((name for name in alone if alone[name] < LITTLE * least), key=alone.__getitem__)
    for name in first * ROUNDS:
        found = wider(name, below=LITTLE * least)
        least = found if found < LITTLE * least else least
    return simulation.result()
