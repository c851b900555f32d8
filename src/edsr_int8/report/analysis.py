"""What calibration and tuning tell of one network: what rounding costs, its values, what was gained."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path

from edsr_int8.errors import InputError
from edsr_int8.quantization.losses import Loss, read_losses
from edsr_int8.quantization.sketch import Sketch, load

SHOWN = 6  # tensors whose histograms are kept: those whose rounding costs most


@dataclass(frozen=True)
class Point:
    """Of a tuning curve: mean squared errors against the float network, in grey levels squared."""

    step: int
    training_mse: float | None  # mean since the point before; None at the first
    held_out_mse: float


@dataclass(frozen=True)
class Analysis:
    losses: Sequence[Loss]  # in the network's order
    sketches: Mapping[str, Sketch]  # of the SHOWN tensors, the costliest first
    curves: Mapping[str, Sequence[Point]]  # precision -> its tuning; rows that do not tune are left out


def read_analysis(losses: Path, histograms: Path, curves: Mapping[str, Path]) -> Analysis:
    """Read what the stages sensitivity, observe and tune wrote of one network; `curves` by precision."""
    found = read_losses(losses)
    sketches = load(histograms)
    tensors = sorted(
        (loss for loss in found if loss.kind == "tensor" and loss.name in sketches),
        key=lambda loss: (-loss.alone_mse, loss.name),
    )
    tuned = {name: points for name, path in curves.items() if (points := read_curve(path))}
    return Analysis(found, {loss.name: sketches[loss.name] for loss in tensors[:SHOWN]}, tuned)


def read_curve(path: Path) -> list[Point]:
    """The points of a curve.csv, none where its row does not tune. InputError where it is no such file."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return [
                Point(int(row["step"]), _finite(row["training_mse"]), float(row["held_out_mse"]))
                for row in csv.DictReader(file)
            ]
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: not a tuning curve ({error}); run the tune stage") from None


def _finite(text: str) -> float | None:
    return value if isfinite(value := float(text)) else None
