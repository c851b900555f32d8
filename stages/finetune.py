"""The passes of a recipe that learns -> build/<model>/<precision>/finetune, and the curve of learning."""

from edsr_int8.errors import InputError
from edsr_int8.files import link
from edsr_int8.pipeline import layout
from edsr_int8.pipeline.rows import Params, row
from edsr_int8.pipeline.run import run
from edsr_int8.quantization.analysis.curves import write_curve
from edsr_int8.quantization.passes import Calibration
from edsr_int8.quantization.passes import run as run_passes
from edsr_int8.quantization.state import save


def finetune(params: Params, model: str, precision: str) -> None:
    recipe = row(params.precisions, precision, "precisions")
    out = layout.finetuned(model, precision)
    curve = []
    if recipe.learns:
        calibration = Calibration(
            float_model=layout.export(model) / "float.onnx",
            images=sorted((layout.images(model) / "calibration").rglob("*.png")),
            histograms=layout.histograms(model),
            losses=layout.sensitivity(model),
            gptq_weights=layout.gptq(model),
            statistics=recipe.statistics,
        )
        try:
            state = run_passes(recipe, calibration)
        except InputError as error:
            raise InputError(f"precisions.{precision}: {error}") from None
        save(out, state)
        curve = list(state.curve)
    write_curve(out / "curve.csv", curve)
    link(out / "curve.csv", layout.curve(model, precision))


if __name__ == "__main__":
    run(finetune)
