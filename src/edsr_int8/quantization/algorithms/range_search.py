"""Ranges by what they do to the picture: tensor by tensor, the one with the least error of the output."""

import math
from collections.abc import Iterable

import torch

from edsr_int8.quantization.algorithms.finetune import error, targets
from edsr_int8.quantization.simulation.quantsim import Simulation, key

FACTORS = tuple(2 ** (exponent / 4) for exponent in (-6, -4, -3, -2, -1, 0, 1))  # of the range in force


@torch.no_grad()
def search_ranges(simulation: Simulation, names: Iterable[str], crops: torch.Tensor) -> None:
    """Widen or narrow the ranges of the tensors `names` in `simulation`, in turn, zero points kept.

    Every other tensor is rounded meanwhile, so a choice sees those before it. The error is against the
    float network on `crops`; a range stays as it is where none is better.
    """
    images, wanted = targets(simulation, crops)
    for name in names:
        log_scale = simulation.log_scales[key(name)]
        start, best = float(log_scale), (math.inf, 1.0)
        for factor in sorted(FACTORS, key=lambda f: abs(math.log(f))):  # ties: the nearest to 1
            log_scale.fill_(start + math.log(factor))
            best = min(best, (error(simulation, images, wanted), factor), key=lambda pair: pair[0])
        log_scale.fill_(start + math.log(best[1]))
