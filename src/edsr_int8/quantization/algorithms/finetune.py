"""Learning from the float network's own output: weights, biases, channel bases, gains and grids, no labels.

All are learned together, end to end, for the least mean logarithm of a crop's squared error against the
float network: its PSNR, in which a smooth crop counts as much as a busy one. Bases and gains only choose
among equal networks; weights move by fractions of their own quantization step, so that one set of rates
serves every network.
"""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from edsr_int8.progress import bar
from edsr_int8.quantization.analysis.curves import CurvePoint
from edsr_int8.quantization.recipe import Finetune
from edsr_int8.quantization.simulation.crops import Crops
from edsr_int8.quantization.simulation.quantsim import THREADS, Simulation

CHECKS = 20  # times that the held-out crops are looked at
BATCH = 16  # of crops that are only looked at
WARMUP = 0.05  # of all steps
FLOOR = 0.01  # grey levels squared, added to a crop's error: far under that of rounding the output
MOMENTS = (0.9, 0.99)  # Adam's

# Learning rates, at the top of the schedule.
WEIGHT = 0.015  # quantization steps of the layer's weights
BIAS = 0.02  # steps of the layer's output grid
SCALE = 4e-3  # natural logarithm of a grid's scale
ZERO_POINT = 0.1  # codes
BASIS = 2e-3
GAIN = 2e-2  # natural logarithm


def tune(simulation: Simulation, crops: Crops, options: Finetune, *, seed: int) -> list[CurvePoint]:
    """Improve `simulation` in place and return the curve: `steps` of Adam, the rate falling in a cosine.

    What is left is the state with the least error on the held-out crops, the one before the first step
    included, so tuning cannot make these worse. Equal inputs give equal parameters on one kind of machine.
    """
    torch.set_num_threads(THREADS)
    training, held_out = (targets(simulation, part) for part in (crops.training, crops.held_out))
    curve, best = [CurvePoint(0, None, geometric_error(simulation, *held_out))], _state(simulation)
    adam = torch.optim.Adam(_groups(simulation), betas=MOMENTS)
    rates = [group["lr"] for group in adam.param_groups]
    random, losses = np.random.default_rng(seed), []
    every = max(1, math.ceil(options.steps / CHECKS))
    for step in bar(range(1, options.steps + 1), "tune", unit="step"):
        for group, rate in zip(adam.param_groups, rates, strict=True):
            group["lr"] = rate * _schedule(step, options.steps)
        chosen = torch.from_numpy(random.integers(0, len(training[0]), options.batch))
        squares = _squares(simulation, *(part[chosen] for part in training))
        loss = (squares + FLOOR).log().mean()
        adam.zero_grad(set_to_none=True)
        loss.backward()
        adam.step()
        losses.append(float(loss.detach().exp()))
        if step % every == 0 or step == options.steps:
            point = CurvePoint(step, float(np.mean(losses)), geometric_error(simulation, *held_out))
            if point.held_out_mse <= min(p.held_out_mse for p in curve):
                best = _state(simulation)
            curve, losses = [*curve, point], []
    simulation.load_state_dict(best)
    return curve


@torch.no_grad()
def targets(simulation: Simulation, crops: Tensor) -> tuple[Tensor, Tensor]:
    """float32 images, and what the network that `simulation` began with makes of them, clipped to 0..255."""
    images, reference = crops.float(), Simulation(simulation.network, {})  # biases may be corrected by now
    outputs = [reference(batch, exact=True).clamp(0, 255) for batch in images.split(BATCH)]
    return images, torch.cat(outputs)


@torch.no_grad()
def geometric_error(simulation: Simulation, images: Tensor, wanted: Tensor) -> float:
    """What `tune` learns to lower: of a mean over crops, one that clips would say more than all others."""
    return float((_all_squares(simulation, images, wanted) + FLOOR).log().mean().exp())


@torch.no_grad()
def error(simulation: Simulation, images: Tensor, wanted: Tensor) -> float:
    """Mean squared error over all crops, in grey levels squared."""
    return float(_all_squares(simulation, images, wanted).mean())


def _all_squares(simulation: Simulation, images: Tensor, wanted: Tensor) -> Tensor:
    pairs = zip(images.split(BATCH), wanted.split(BATCH), strict=True)
    return torch.cat([_squares(simulation, x, y) for x, y in pairs])


def _squares(simulation: Simulation, images: Tensor, wanted: Tensor) -> Tensor:
    """Mean squared error of each crop."""
    return (simulation(images) - wanted).square().mean(dim=(1, 2, 3))


def _schedule(step: int, steps: int) -> float:
    rise = min(1.0, step / max(1.0, WARMUP * steps))
    return rise * 0.5 * (1 + math.cos(math.pi * (step - 1) / steps))


def _groups(simulation: Simulation) -> Iterable[dict[str, Any]]:
    """Parameters by kind, each with its rate in the units that it has."""
    grids = {name: float(value.detach().exp()) for name, value in simulation.log_scales.items()}
    for name, weight in simulation.weights.items():
        peaks = weight.detach().abs().amax(dim=(1, 2, 3))
        yield {"params": [weight], "lr": WEIGHT * float(peaks.mean()) / 127}
        yield {"params": [simulation.biases[name]], "lr": BIAS * grids.get(name, 1.0)}
    yield {"params": list(simulation.log_scales.values()), "lr": SCALE}
    yield {"params": list(simulation.zero_points.values()), "lr": ZERO_POINT}
    yield {"params": list(simulation.bases), "lr": BASIS}
    yield {"params": list(simulation.log_gains.values()), "lr": GAIN}


def _state(simulation: Simulation) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in simulation.state_dict().items()}
