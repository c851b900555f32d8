"""build/<model>/export, histograms, weights -> build/<model>/<precision>: the ONNX that ships, its ranges."""

from edsr_int8.errors import InputError
from edsr_int8.files import link, write_json
from edsr_int8.pipeline import layout
from edsr_int8.pipeline.rows import Params, row
from edsr_int8.pipeline.run import run
from edsr_int8.quantization.passes import Calibration
from edsr_int8.quantization.passes import run as run_passes
from edsr_int8.quantization.quantize import quantize as write_build
from edsr_int8.quantization.state import load


def quantize(params: Params, model: str, precision: str) -> None:
    recipe = row(params.precisions, precision, "precisions")
    out = layout.precision(model, precision)
    if recipe.dtype == "float32":
        link(layout.export(model) / "uint8.onnx", out / "model.onnx")
        write_json(out / "ranges.json", {})
        return
    calibration = Calibration(
        float_model=layout.export(model) / "float.onnx",
        images=[],
        histograms=layout.histograms(model),
        losses=layout.sensitivity(model),
        gptq_weights=layout.gptq(model),
        statistics=recipe.statistics,
    )
    try:
        if recipe.learns:
            origin = calibration.float_network.weights_sha256
            state = load(layout.finetuned(model, precision), weights_sha256=origin)
        else:
            state = run_passes(recipe, calibration)
    except InputError as error:
        raise InputError(f"precisions.{precision}: {error}") from None
    write_build(state, recipe, out)


if __name__ == "__main__":
    run(quantize)
