"""What a training run is told: the knobs, all in steps, and the learning-rate schedule they make."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class TrainingOptions:
    steps: int
    batch: int
    patch: int  # height and width of a crop, in low-resolution pixels
    learning_rate: float  # at the top of the schedule
    warmup: int = 0  # steps of linear rise to learning_rate
    halve_every: int = 0  # steps; 0: after the warm-up half a cosine falls to 0
    ema: float = 0.999  # decay of the averaged weights, which are those validated and kept; 0: none
    seed: int = 0  # of the first weights and of every crop
    precision: str = "float32"  # float32 | bfloat16: autocast inside the blocks, about twice as fast
    validate_every: int = 1000  # steps between two validations, each of which ends in a checkpoint
    start: str = ""  # weights to begin from, '': random


def learning_rate(step: int, options: TrainingOptions) -> float:
    """Of step 0, 1, ... steps - 1: linear warm-up, then stairs or a cosine to 0.

    Stairs as in Lim et al. 2017, section 4.2; the cosine is that of Loshchilov & Hutter, ICLR 2017.
    """
    if step < options.warmup:
        return options.learning_rate * (step + 1) / options.warmup
    if options.halve_every:
        return options.learning_rate * 0.5 ** (step // options.halve_every)
    done = (step - options.warmup) / max(1, options.steps - options.warmup)
    return options.learning_rate * 0.5 * (1 + math.cos(math.pi * done))
