"""The files of a finished training: two checkpoints in the publisher's layout, and two curves."""

from pathlib import Path

from torch import Tensor

from edsr_int8.checkpoints.official import mdsr_to_foreign
from edsr_int8.checkpoints.sources import SOURCES
from edsr_int8.checkpoints.write import write_foreign
from edsr_int8.files import atomic_folder, write_csv
from edsr_int8.training.branches import by_scale
from edsr_int8.training.schedule import Training
from edsr_int8.training.space import full_disk_explained
from edsr_int8.training.state import State, Weights


def write_result(state: State, training: Training, out: Path) -> None:
    """Write out/{weights.pt,last.pt,loss.csv,validation.csv}: the best average, the last one, the curves.

    Each curve has a file of its own, since DVC plots one column of a file.
    """
    with full_disk_explained(out), atomic_folder(out) as folder:
        for weights, name in ((state.best, "weights.pt"), (state.average, "last.pt")):
            write_foreign(_foreign(weights, training), training.source, folder / name)
        losses = [(p.step, f"{p.loss:.4f}", f"{p.learning_rate:.3e}") for p in state.curve]
        write_csv(folder / "loss.csv", ("step", "loss", "learning_rate"), losses)
        scores = [(p.step, f"{p.val_psnr_db:.4f}") for p in state.curve]
        write_csv(folder / "validation.csv", ("step", "psnr_db"), scores)


def _foreign(weights: Weights, training: Training) -> dict[str, Tensor]:
    states, description = dict(by_scale(weights)), training.description
    if description.network == "mdsr":
        return mdsr_to_foreign(states, description)
    foreign: dict[str, Tensor] = SOURCES[training.source].to_foreign(states[description.scale], description)
    return foreign
