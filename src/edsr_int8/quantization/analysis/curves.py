"""What finetuning gained, step by step: curve.csv."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass, fields
from math import isfinite, nan
from pathlib import Path

from edsr_int8.errors import InputError
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
    """What `write_curve` wrote. InputError where it is no such file."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return [
                CurvePoint(int(row["step"]), _finite(row["training_mse"]), float(row["held_out_mse"]))
                for row in csv.DictReader(file)
            ]
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: not a finetuning curve ({error}); run the finetune stage") from None


def _finite(text: str) -> float | None:
    return value if isfinite(value := float(text)) else None
