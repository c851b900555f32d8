"""A row of `training`: a network, what it learns from, and the schedule in steps."""

import math
from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Interval, MinLen

from edsr_int8.models.description import NetworkRow

Steps = Annotated[int, Interval(ge=1, le=100_000_000)]  # EDSR's own: 300,000
StepsOrNone = Annotated[int, Interval(ge=0, le=100_000_000)]


@dataclass(frozen=True)
class Training(NetworkRow):
    """Read from params.yaml and passed whole."""

    # Rows of `datasets`; one that is named twice is drawn twice as often.
    datasets: Annotated[tuple[str, ...], MinLen(1)]
    validation: Annotated[tuple[str, ...], MinLen(1)]
    start: str  # checkpoint to begin from; '' for random weights, which params.yaml calls data/weights/random
    steps: Steps
    batch: Annotated[int, Interval(ge=1, le=4096)]  # crops a step
    patch: Annotated[int, Interval(ge=1, le=1024)]  # height and width of a crop, in low-resolution pixels
    learning_rate: Annotated[float, Interval(ge=0, le=1)]  # at the top of the schedule
    warmup: StepsOrNone = 0  # steps of linear rise to learning_rate
    halve_every: StepsOrNone = 0  # steps; 0: half a cosine falls to 0 after the warm-up
    ema: Annotated[float, Interval(ge=0, le=1)] = 0.999  # decay of the averaged weights; 0: no averaging
    seed: Annotated[int, Interval(ge=0, le=2**32 - 1)] = 0  # of the random weights and of every crop
    precision: Literal["float32", "bfloat16"] = "float32"  # bfloat16: autocast inside the blocks
    validate_every: Steps = 1000  # steps between two validations; each ends in a checkpoint


def learning_rate(step: int, training: Training) -> float:
    """Learning rate of step 0, 1, ... steps - 1: linear warm-up, then stairs or a cosine to 0.

    Stairs as in Lim et al. 2017, section 4.2; the cosine is that of Loshchilov & Hutter, ICLR 2017.
    """
    if step < training.warmup:
        return training.learning_rate * (step + 1) / training.warmup
    if training.halve_every:
        return training.learning_rate * 0.5 ** (step // training.halve_every)
    done = (step - training.warmup) / max(1, training.steps - training.warmup)
    return training.learning_rate * 0.5 * (1 + math.cos(math.pi * done))
