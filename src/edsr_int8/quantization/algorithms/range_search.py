"""Ranges by what they do to the picture: tensor by tensor, the range with the least error of the output."""

import math

import torch

from edsr_int8.quantization.calibration.range_estimators import estimator_of
from edsr_int8.quantization.ir.layers import Network
from edsr_int8.quantization.recipe import Recipe
from edsr_int8.quantization.simulation.crops import Crops
from edsr_int8.quantization.simulation.objective import mean_error, with_float_outputs
from edsr_int8.quantization.simulation.quantsim import ALL, TENSORS, Simulation
from edsr_int8.quantization.state import QuantizedNetwork

FACTORS = tuple(2 ** (exponent / 4) for exponent in (-6, -4, -3, -2, -1, 0, 1))  # of the present range
CROPS = 128


@torch.no_grad()
def search_ranges(
    state: QuantizedNetwork, float_network: Network, recipe: Recipe, crops: Crops
) -> QuantizedNetwork:
    """Widen or narrow the ranges of the tensors whose estimator is `search`, in turn, zero points kept.

    All other tensors are rounded meanwhile, so a choice sees those before it. The error is against the float
    network on the first training crops; a range stays as it is where no other is better.
    """
    simulation = Simulation(state, unify=recipe.unify_scales).to(crops.training.device)
    rounding = TENSORS if recipe.gptq else ALL
    images, wanted = with_float_outputs(float_network, crops.training[:CROPS])
    for name, log_scale in simulation.own_log_scales().items():
        if estimator_of(name, recipe)[0] != "search":
            continue
        start, best = float(log_scale), (math.inf, 1.0)
        for factor in sorted(FACTORS, key=lambda f: abs(math.log(f))):  # ties: the nearest to 1
            log_scale.fill_(start + math.log(factor))
            error = mean_error(simulation, images, wanted, rounding)
            best = min(best, (error, factor), key=lambda pair: pair[0])
        log_scale.fill_(start + math.log(best[1]))
    return simulation.result()
