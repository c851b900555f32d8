"""build/<model>/export, histograms, weights -> build/<model>/<precision>: the ONNX that ships, its ranges."""

from edsr_int8.errors import InputError
from edsr_int8.files import link, write_json
from edsr_int8.pipeline import layout
from edsr_int8.pipeline.rows import Params, row
from edsr_int8.pipeline.run import run
from edsr_int8.pipeline.settings import writing
from edsr_int8.quantization.half_precision import write_half_precision
from edsr_int8.quantization.ir.read_onnx import read_network
from edsr_int8.quantization.quantize import quantize as write_build
from edsr_int8.quantization.recipe import Recipe
from edsr_int8.quantization.state import QuantizedNetwork, load


def quantize(params: Params, model: str, precision: str) -> None:
    wanted = writing(row(params.precisions, precision, "precisions"))
    recipe = wanted.recipe
    out = layout.precision(model, precision)
    if recipe.dtype != "int8":
        exported, build = layout.export(model) / "uint8.onnx", out / "model.onnx"
        if recipe.dtype == "float32":
            link(exported, build)
        else:
            write_half_precision(exported, recipe.dtype, build)
        write_json(out / "ranges.json", {})
        return
    try:
        state = learned(model, precision) if wanted.learned else calibrated(recipe, model)
    except InputError as error:
        raise InputError(f"precisions.{precision}: {error}") from None
    write_build(state, recipe, out)


def learned(model: str, precision: str) -> QuantizedNetwork:
    origin = read_network(layout.export(model) / "float.onnx").weights_sha256
    return load(layout.finetuned(model, precision), weights_sha256=origin)


def calibrated(recipe: Recipe, model: str) -> QuantizedNetwork:
    # Imported here: torch takes seconds, which the other rows need not wait for.
    from edsr_int8.pipeline.calibration import calibration_of
    from edsr_int8.quantization.passes import run as run_passes

    return run_passes(recipe, calibration_of(model, recipe))


if __name__ == "__main__":
    run(quantize)
