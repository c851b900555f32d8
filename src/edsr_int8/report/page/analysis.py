"""What calibration and tuning tell of one network: what rounding costs, its values, what was gained."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edsr_int8.quantization.analysis.curves import CurvePoint, read_curve
from edsr_int8.quantization.analysis.losses import Loss, read_losses
from edsr_int8.quantization.calibration.histogram import Histogram, load

SHOWN = 6  # tensors whose histograms are kept: those whose rounding costs most


@dataclass(frozen=True)
class Analysis:
    losses: Sequence[Loss]  # in the network's order
    sketches: Mapping[str, Histogram]  # of the SHOWN tensors, the costliest first
    curves: Mapping[str, Sequence[CurvePoint]]  # precision -> its tuning; rows that do not tune are left out


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
