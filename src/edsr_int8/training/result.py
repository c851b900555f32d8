"""The files of a finished training: two checkpoints in the publisher's layout, and two curves."""

from pathlib import Path

from edsr_int8.checkpoints.write import write_checkpoint
from edsr_int8.files import atomic_folder, write_csv
from edsr_int8.training.branches import by_scale
from edsr_int8.training.schedule import Training
from edsr_int8.training.state import State


def write_result(state: State, training: Training, out: Path) -> None:
    """Write out/{weights.pt,last.pt,loss.csv,validation.csv}: the best average, the last one, the curves.

    Each curve has a file of its own, since DVC plots one column of a file.
    """
    with atomic_folder(out) as folder:
        for weights, name in ((state.best, "weights.pt"), (state.average, "last.pt")):
            states = dict(by_scale(weights))
            write_checkpoint(states, training.source, training.description, folder / name)
        losses = [(p.step, f"{p.loss:.4f}", f"{p.learning_rate:.3e}") for p in state.curve]
        write_csv(folder / "loss.csv", ("step", "loss", "learning_rate"), losses)
        scores = [(p.step, f"{p.val_psnr_db:.4f}") for p in state.curve]
        write_csv(folder / "validation.csv", ("step", "psnr_db"), scores)
