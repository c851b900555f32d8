"""All that the next step of an unfinished training depends on, in one file that is never half written."""

import io
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from edsr_int8.errors import InputError
from edsr_int8.files import atomic

Weights = dict[str, Tensor]


@dataclass(frozen=True)
class TrainingPoint:
    """One validation: a point of the training curve."""

    step: int
    loss: float  # mean since the previous point, grey levels
    learning_rate: float
    val_psnr_db: float


@dataclass
class State:
    """After `step` steps. No random generator is kept: (seed, step) decide the crops, all that is random."""

    step: int
    weights: Weights
    average: Weights  # exponential moving average of the weights
    optimizer: dict[str, Any]
    best: Weights = field(default_factory=dict)  # the average with the highest validation PSNR
    curve: list[TrainingPoint] = field(default_factory=list)

    def best_psnr_db(self) -> float:
        return max((point.val_psnr_db for point in self.curve), default=float("-inf"))


def save(state: State, run: Any, path: Path) -> None:
    """Write the state of `run`: plain values that say what is trained, and on which images."""
    curve = [(p.step, p.loss, p.learning_rate, p.val_psnr_db) for p in state.curve]
    buffer = io.BytesIO()  # torch's own file writer does not tell a full disk from other failures
    torch.save({"run": run, "state": vars(state) | {"curve": curve}}, buffer)
    with atomic(path) as temporary:
        temporary.write_bytes(buffer.getbuffer())


def load(run: Any, path: Path) -> State | None:
    """The state of `run` at `path`; None if there is none, or that of another run. InputError: damaged."""
    if not path.exists():
        return None
    try:
        with zipfile.ZipFile(path) as archive:
            if damaged := archive.testzip():  # torch does not look at checksums
                raise ValueError(damaged)
        kept = torch.load(path, map_location="cpu", weights_only=True)
        if not isinstance(kept, dict) or kept.get("run") != run:
            return None
        return State(**kept["state"] | {"curve": [TrainingPoint(*point) for point in kept["state"]["curve"]]})
    except Exception:  # damaged bytes can make torch raise anything
        raise InputError(f"{path}: a damaged checkpoint; delete it to train from the start") from None
