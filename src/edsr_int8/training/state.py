"""All that the next step of an unfinished training depends on, in one file written whole or not at all."""

import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from edsr_int8.errors import InputError
from edsr_int8.files import atomic
from edsr_int8.training.space import full_disk_explained

Weights = dict[str, Tensor]


@dataclass(frozen=True)
class TrainingPoint:
    """One validation: a point of the training curve."""

    step: int
    loss: float  # mean since the point before, grey levels
    learning_rate: float
    val_psnr_db: float


@dataclass
class State:
    """After `step` steps. Crops follow from (seed, step), and nothing else is drawn: no generator to keep."""

    step: int
    weights: Weights
    average: Weights  # exponential moving average of the weights
    optimizer: dict[str, Any]
    best: Weights = field(default_factory=dict)  # the average with the highest validation PSNR
    curve: list[TrainingPoint] = field(default_factory=list)

    def best_psnr_db(self) -> float:
        return max((point.val_psnr_db for point in self.curve), default=float("-inf"))


def save(state: State, run: Any, path: Path) -> None:
    """Write the state of `run`, which says in plain values what is trained on what."""
    curve = [(p.step, p.loss, p.learning_rate, p.val_psnr_db) for p in state.curve]
    buffer = io.BytesIO()  # torch's own file writer hides why it failed
    torch.save({"run": run, "state": vars(state) | {"curve": curve}}, buffer)
    with full_disk_explained(path), atomic(path) as temporary:
        temporary.write_bytes(buffer.getbuffer())


def load(run: Any, path: Path) -> State | None:
    """What `run` left at `path`; None where nothing is, or what another run left: that starts afresh."""
    if not path.exists():
        return None
    try:
        kept = torch.load(path, map_location="cpu", weights_only=True)
    except Exception:  # damaged bytes reach any corner of the reader
        raise InputError(f"{path}: a damaged checkpoint; delete it to train from the start") from None
    if not isinstance(kept, dict) or kept.get("run") != run:
        return None
    return State(**kept["state"] | {"curve": [TrainingPoint(*point) for point in kept["state"]["curve"]]})
