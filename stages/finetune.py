"""The passes of a recipe that learns -> build/<model>/<precision>/finetune, and the curve of learning."""

from collections.abc import Sequence
from pathlib import Path

from edsr_int8.errors import InputError
from edsr_int8.files import link
from edsr_int8.pipeline import layout
from edsr_int8.pipeline.rows import Params, row
from edsr_int8.pipeline.run import run
from edsr_int8.pipeline.settings import learning
from edsr_int8.pipeline.torch_device import torch_device
from edsr_int8.pipeline.torch_settings import settle_torch
from edsr_int8.quantization.analysis.curves import CurvePoint, write_curve
from edsr_int8.quantization.recipe import Recipe


def finetune(params: Params, model: str, precision: str) -> None:
    recipe = learning(row(params.precisions, precision, "precisions"))
    out = layout.finetuned(model, precision)
    try:
        curve = learn(recipe, model, out) if recipe else []
    except InputError as error:
        raise InputError(f"precisions.{precision}: {error}") from None
    write_curve(out / "curve.csv", curve)
    link(out / "curve.csv", layout.curve(model, precision))


def learn(recipe: Recipe, model: str, out: Path) -> Sequence[CurvePoint]:
    # Imported here: torch takes seconds, which rows that do not learn need not wait for.
    from edsr_int8.pipeline.calibration import calibration_of
    from edsr_int8.quantization.passes import run as run_passes
    from edsr_int8.quantization.state import save

    settle_torch()
    state = run_passes(recipe, calibration_of(model, recipe, device=torch_device()))
    save(out, state)
    return state.curve


if __name__ == "__main__":
    run(finetune)
