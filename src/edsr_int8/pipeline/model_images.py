"""The images of a model, where the stage `model_images` leaves them.

DVC sees most stages read hashes of them, so that `dvc repro --pull --allow-missing` does not bring them.
"""

from pathlib import Path

from edsr_int8.errors import InputError
from edsr_int8.pipeline import layout


def calibration_images(model: str) -> list[Path]:
    """Sorted by name. InputError: none is here."""
    folder = layout.images(model) / "calibration"
    found = sorted(folder.rglob("*.png"))
    if not found:
        raise not_here(folder)
    return found


def require_evaluation_images(model: str, dataset: str) -> None:
    """InputError: those of a data set are not here."""
    folder = layout.images(model) / "evaluation" / dataset
    if not folder.is_dir():
        raise not_here(folder)


def not_here(folder: Path) -> InputError:
    remedy = "`dvc pull --allow-missing` brings them, or `dvc repro` without --allow-missing makes them"
    return InputError(f"{folder}: no images are here; {remedy}")
