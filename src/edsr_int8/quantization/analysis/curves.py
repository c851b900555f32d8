"""What finetuning gained, step by step: curve.csv."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from math import isfinite, nan
from pathlib import Path

from edsr_int8.artifacts import read_csv
from edsr_int8.files import write_csv


@dataclass(frozen=True)
class CurvePoint:
    """Mean squared errors against the float network, in grey levels squared: geometric over crops."""

    step: int
    training_mse: float | None  # arithmetic over the steps since the point before; None at the first
    held_out_mse: float


def write_curve(path: Path, curve: Sequence[CurvePoint]) -> None:
    """Write the points of `curve`; a recipe that does not finetune has none."""
    rows = (
        (p.step, f"{nan if p.training_mse is None else p.training_mse:.5f}", f"{p.held_out_mse:.5f}")
        for p in curve
    )
    write_csv(path, [field.name for field in fields(CurvePoint)], rows)


def read_curve(path: Path) -> list[CurvePoint]:
    """What `write_curve` wrote, but points where learning diverged. InputError where it is no such file."""
    points: list[CurvePoint] = read_csv(path, CurvePoint, "finetune")
    return [replace(p, training_mse=_finite(p.training_mse)) for p in points if isfinite(p.held_out_mse)]


def _finite(value: float | None) -> float | None:
    return None if value is None or not isfinite(value) else value
