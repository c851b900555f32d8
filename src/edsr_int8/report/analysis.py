"""What calibration and finetuning show of one network."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edsr_int8.artifacts import read_json
from edsr_int8.quantization.analysis.curves import CurvePoint, read_curve
from edsr_int8.quantization.analysis.losses import Loss, read_losses
from edsr_int8.quantization.calibration.histogram import Histogram, load

SHOWN = 6  # tensors whose histograms are kept: those whose rounding costs most


@dataclass(frozen=True)
class Analysis:
    losses: Sequence[Loss]  # in the network's order; none where no row needs them
    histograms: Mapping[str, Histogram]  # of the SHOWN tensors, the costliest first
    clipped: Mapping[str, float]  # tensor -> share of its values on evaluation images outside its range
    curves: Mapping[str, Sequence[CurvePoint]]  # precision -> its finetuning; of the rows that finetune


def read_analysis(losses: Path, histograms: Path, coverage: Path, curves: Mapping[str, Path]) -> Analysis:
    """Read what sensitivity, observe, coverage and finetune wrote of one network; `curves` by precision.

    A stage that no row needs leaves an empty file or table. InputError names a damaged one.
    """
    found = read_losses(losses)
    counted = load(histograms) if histograms.stat().st_size else {}
    tensors = sorted(
        (loss for loss in found if loss.kind == "tensor" and loss.name in counted),
        key=lambda loss: (-loss.alone_mse, loss.name),
    )
    finetuned = {name: points for name, path in curves.items() if (points := read_curve(path))}
    shown = {loss.name: counted[loss.name] for loss in tensors[:SHOWN]}
    return Analysis(found, shown, read_json(coverage, dict[str, float], "coverage"), finetuned)
