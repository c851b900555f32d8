"""All that a precision row takes forward passes for -> build/<model>/<precision>/tune, and its curve."""

from edsr_int8.errors import InputError
from edsr_int8.files import link
from edsr_int8.pipeline import layout
from edsr_int8.pipeline.rows import Params, row
from edsr_int8.pipeline.run import run
from edsr_int8.quantization.analysis.curves import write_curve
from edsr_int8.quantization.analysis.mixed_precision import floats_of
from edsr_int8.quantization.passes import prepare


def finetune(params: Params, model: str, precision: str) -> None:
    recipe, out = row(params.precisions, precision, "precisions"), layout.finetuned(model, precision)
    graph, losses = layout.export(model) / "float.onnx", layout.sensitivity(model)
    images = sorted((layout.images(model) / "calibration").rglob("*.png"))
    try:
        if recipe.learns:
            floats = floats_of(
                graph,
                losses,
                recipe.high_precision_layers,
                recipe.high_precision_budget,
                bypass=recipe.fold_long_skip,
                narrowed=recipe.collapse_tail,
            )
            prepare(graph, layout.histograms(model), images, out, recipe, floats)
        else:
            write_curve(out / "curve.csv", [])
    except InputError as error:
        raise InputError(f"precisions.{precision}: {error}") from None
    link(out / "curve.csv", layout.curve(model, precision))


if __name__ == "__main__":
    run(finetune)
