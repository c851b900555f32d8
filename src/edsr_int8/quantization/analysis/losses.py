"""The table of what rounding each tensor and each convolution costs the output: sensitivity.csv."""

from collections.abc import Iterable
from dataclasses import astuple, dataclass, fields
from math import log10
from pathlib import Path

from edsr_int8.artifacts import read_csv
from edsr_int8.files import write_csv

PEAK = 255.0
IDENTICAL_DB = 100.0


@dataclass(frozen=True)
class Loss:
    """One row: what is rounded, and how far the output then is from the float network's."""

    name: str
    kind: str  # tensor: its values; weights: a convolution's; all: everything together
    alone_mse: float  # grey levels squared, only this rounded

    @property
    def alone_db(self) -> float:
        """PSNR against the float network's output, only this rounded."""
        return decibels(self.alone_mse)


def decibels(mse: float) -> float:
    """PSNR of a mean squared error in grey levels; an identical pair counts as 100 dB."""
    return min(IDENTICAL_DB, 10 * log10(PEAK**2 / max(mse, 1e-12)))


def alone(losses: Iterable[Loss], kind: str) -> dict[str, float]:
    """Name -> mean squared error of rounding it alone, of the rows of one `kind`."""
    return {loss.name: loss.alone_mse for loss in losses if loss.kind == kind}


def write_losses(path: Path, losses: Iterable[Loss]) -> None:
    rows = ((name, kind, *(f"{x:.6g}" for x in rest)) for name, kind, *rest in map(astuple, losses))
    write_csv(path, [field.name for field in fields(Loss)], rows)


def read_losses(path: Path) -> list[Loss]:
    """Read what `write_losses` wrote; nothing where the file is empty, because no recipe needs losses."""
    return read_csv(path, Loss, "sensitivity")
