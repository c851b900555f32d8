"""Learning from the float network's own output: weights, biases, channel bases, gains and grids, no labels.

All are learned together, end to end, for the least mean logarithm of a crop's squared error against the
float network: its PSNR, in which a smooth crop counts as much as a busy one. Bases and gains only choose
among equal networks; weights move by fractions of their own size, so one set of learning rates serves every
network of a depth.
"""

import math
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from edsr_int8.progress import bar
from edsr_int8.quantization.algorithms.muon import Muon
from edsr_int8.quantization.analysis.curves import CurvePoint
from edsr_int8.quantization.ir.layers import Network
from edsr_int8.quantization.recipe import Recipe
from edsr_int8.quantization.simulation.colour_patterns import (
    LEARNED,
    ColourPatterns,
    Patterns,
    checked_loss,
    colour_loss,
    colour_patterns,
    colour_shifts,
)
from edsr_int8.quantization.simulation.crops import Crops, crops_at_once
from edsr_int8.quantization.simulation.objective import (
    FLOOR,
    geometric_error,
    squared_errors,
    with_float_outputs,
)
from edsr_int8.quantization.simulation.quantsim import ALL, TENSORS, Rounding, Simulation
from edsr_int8.quantization.state import QuantizedNetwork

CHECKS = 8  # times that the held-out crops are scored
WARMUP = 0.05  # of all steps
MOMENTS = (0.9, 0.99)  # Adam's

# Of patterns of colours, where the recipe covers them.
PATTERNS_A_STEP = 32  # a quarter of the pixels of the 8 crops beside them
SELDOM, UNSEEN = 0.1, 10.0  # how likely a pattern that did not shift is, and one not yet drawn: grey levels

# Learning rates at the top of the schedule, for a network of DEPTH convolutions. A deeper one has lower
# rates, in proportion: the steps of all its layers add up in the output.
DEPTH = 12
WEIGHT = 8e-4  # of the layer's weights; of both, the root mean square
BIAS = 0.02  # steps of the layer's output grid
SCALE = 1e-2  # natural logarithm of a grid's scale
ZERO_POINT = 0.1  # codes
BASIS = 2e-3
GAIN = 2e-2  # natural logarithm


def finetune(
    state: QuantizedNetwork, float_network: Network, recipe: Recipe, crops: Crops
) -> QuantizedNetwork:
    """`recipe.finetune.steps` of Muon and Adam on `crops`, with a learning rate that falls in a cosine.

    Keeps the state with the least error on the held-out crops, the one before the first step included, so
    finetuning cannot make these worse. Where GPTQ rounds the weights afterwards, they learn unrounded.
    Equal inputs give equal parameters on one kind of machine. The result's curve tells what was gained.
    """
    simulation = Simulation(state, unify=recipe.unify_scales).to(crops.training.device)
    if not recipe.gptq:  # weights are rounded while they learn, so a scale inside weights stays
        for name in state.grids:
            if simulation.groups[name].in_weights:
                simulation.freeze(name)
    colours = None
    if recipe.cover_colours:
        colours = colour_patterns(float_network, recipe.statistics.seed, crops.training.device)
    curve = _learn(simulation, float_network, recipe, crops, colours)
    return replace(simulation.result(), curve=tuple(curve))


class DrawnPatterns:
    """Patterns, of which each step draws some: the likelier, the further each shifted when it was last drawn.

    Most colours soon shift by nothing that is seen, and few saturated stripes far.
    """

    def __init__(self, patterns: Patterns) -> None:
        self.patterns = patterns
        self.likely = np.full(len(patterns.images), UNSEEN)

    def draw(self, random: np.random.Generator) -> np.ndarray:
        """The places of PATTERNS_A_STEP different ones."""
        likely = self.likely / self.likely.sum()
        return random.choice(len(likely), PATTERNS_A_STEP, replace=False, p=likely)

    def backward(self, simulation: Simulation, random: np.random.Generator, rounding: Rounding) -> None:
        """Add to the gradients those of the loss on patterns that are drawn."""
        some = self.draw(random)
        places = torch.from_numpy(some).to(self.patterns.images.device)
        shifts = colour_shifts(simulation, self.patterns.at(places), rounding)
        colour_loss(shifts, LEARNED).backward()
        self.likely[some] = SELDOM + shifts.detach().cpu().numpy()


def _learn(
    simulation: Simulation,
    float_network: Network,
    recipe: Recipe,
    crops: Crops,
    colours: ColourPatterns | None,
) -> list[CurvePoint]:
    """Improve `simulation` in place and return the curve."""
    steps, rounding = recipe.finetune.steps, TENSORS if recipe.gptq else ALL
    training, held_out = (
        with_float_outputs(float_network, part) for part in (crops.training, crops.held_out)
    )

    checks = colours.held_out if colours else ()

    def check() -> float:
        """The error on held-out crops, and more where colours shift visibly."""
        error = geometric_error(simulation, *held_out, rounding)
        return error * math.exp(checked_loss(simulation, checks, rounding))

    curve = [CurvePoint(0, None, check())]
    best = _parameters(simulation)
    optimizers = _optimizers(simulation, on_gpu=crops.training.is_cuda)
    groups = [group for each in optimizers for group in each.param_groups]
    rates = [group["lr"] * min(1, DEPTH / len(simulation.convs)) for group in groups]
    random, losses = np.random.default_rng(recipe.statistics.seed), []
    every = max(1, math.ceil(steps / CHECKS))
    patterns = [DrawnPatterns(each) for each in colours.training] if colours else []
    for step in bar(range(1, steps + 1), "finetune", unit="step"):
        for group, rate in zip(groups, rates, strict=True):
            group["lr"] = rate * _schedule(step, steps)
        chosen = torch.from_numpy(random.integers(0, len(training[0]), recipe.finetune.batch))
        images, wanted = (part[chosen.to(part.device)] for part in training)
        simulation.zero_grad(set_to_none=True)
        loss = backward(simulation, images, wanted, rounding, at_once=crops_at_once(images, len(images)))
        if patterns:  # upright ones and lying ones in turn
            patterns[step % len(patterns)].backward(simulation, random, rounding)
        for optimizer in optimizers:
            optimizer.step()
        losses.append(float(loss.exp()))
        if step % every == 0 or step == steps:
            point = CurvePoint(step, float(np.mean(losses)), check())
            if point.held_out_mse <= min(p.held_out_mse for p in curve):
                best = _parameters(simulation)
            curve, losses = [*curve, point], []
    simulation.load_state_dict(best)
    return curve


def backward(
    simulation: Simulation, images: Tensor, wanted: Tensor, rounding: Rounding, *, at_once: int
) -> Tensor:
    """The loss over these crops; adds to the gradients. Memory is that of `at_once` crops."""
    losses = []
    for some, theirs in zip(images.split(at_once), wanted.split(at_once), strict=True):
        squares = squared_errors(simulation, some, theirs, rounding)
        loss = (squares + FLOOR).log().mean() * (len(some) / len(images))
        loss.backward()
        losses.append(loss.detach())
    return torch.stack(losses).sum()


def _schedule(step: int, steps: int) -> float:
    rise = min(1.0, step / max(1.0, WARMUP * steps))
    return rise * 0.5 * (1 + math.cos(math.pi * (step - 1) / steps))


def _optimizers(simulation: Simulation, *, on_gpu: bool) -> tuple[torch.optim.Optimizer, ...]:
    """Muon for weights, Adam for all else, each kind of parameter with its learning rate in its own unit."""
    weights = [
        {"params": [weight], "lr": WEIGHT * float(weight.detach().square().mean().sqrt())}
        for weight in simulation.weights.values()
    ]
    adam = torch.optim.Adam(_other_parameters(simulation), betas=MOMENTS, fused=on_gpu)
    return Muon(weights), adam


def _other_parameters(simulation: Simulation) -> Iterable[dict[str, Any]]:
    grids = {name: float(value.detach().exp()) for name, value in simulation.log_scales.items()}
    for name, bias in simulation.biases.items():
        yield {"params": [bias], "lr": BIAS * grids.get(name, 1.0)}
    yield {"params": list(simulation.log_scales.values()), "lr": SCALE}
    yield {"params": list(simulation.zero_points.values()), "lr": ZERO_POINT}
    yield {"params": list(simulation.bases), "lr": BASIS}
    yield {"params": list(simulation.log_gains.values()), "lr": GAIN}


def _parameters(simulation: Simulation) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in simulation.state_dict().items()}
