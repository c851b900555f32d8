"""What a finished training leaves: two checkpoints in the publisher's layout, and the curve."""

import csv
from pathlib import Path

from torch import Tensor

from edsr_int8.checkpoints.official import mdsr_to_foreign
from edsr_int8.checkpoints.sources import SOURCES
from edsr_int8.checkpoints.write import write_foreign
from edsr_int8.files import atomic_folder
from edsr_int8.models.description import Description
from edsr_int8.training.branches import by_scale
from edsr_int8.training.space import full_disk_explained
from edsr_int8.training.state import State, Weights


def write_result(state: State, description: Description, *, source: str, out: Path) -> None:
    """Write out/{weights.pt,last.pt,curve.csv}: the best average, the last one, and how they came about."""
    with full_disk_explained(out), atomic_folder(out) as folder:
        for weights, name in ((state.best, "weights.pt"), (state.average, "last.pt")):
            write_foreign(_foreign(weights, source, description), source, folder / name)
        with (folder / "curve.csv").open("w", newline="") as file:
            rows = csv.writer(file, lineterminator="\n")
            rows.writerow(("step", "loss", "lr", "val_psnr_db"))
            for p in state.curve:
                rows.writerow((p.step, f"{p.loss:.4f}", f"{p.learning_rate:.3e}", f"{p.val_psnr_db:.4f}"))


def _foreign(weights: Weights, source: str, description: Description) -> dict[str, Tensor]:
    states = dict(by_scale(weights))
    if description.network == "mdsr":
        return mdsr_to_foreign(states, description)
    foreign: dict[str, Tensor] = SOURCES[source].to_foreign(states[description.scale], description)
    return foreign
