"""build/<model>/export, histograms, weights -> build/<model>/<precision>: the ONNX that ships, its ranges."""

from edsr_int8.errors import InputError
from edsr_int8.files import link, write_json
from edsr_int8.pipeline import layout
from edsr_int8.pipeline.rows import Params, row
from edsr_int8.pipeline.run import run
from edsr_int8.quantization.quantize import quantize as quantize_network


def quantize(params: Params, model: str, precision: str) -> None:
    recipe, out = row(params.precisions, precision, "precisions"), layout.precision(model, precision)
    graphs = layout.export(model)
    if recipe.dtype == "float32":
        link(graphs / "uint8.onnx", out / "model.onnx")
        write_json(out / "ranges.json", {})
        return
    rounded = layout.gptq(model) if recipe.gptq else None
    try:
        quantize_network(
            graphs / "float.onnx", layout.histograms(model), out, recipe,
            rounded=rounded, prepared=layout.finetuned(model, precision),
        )  # fmt: skip
    except InputError as error:
        raise InputError(f"precisions.{precision}: {error}") from None


if __name__ == "__main__":
    run(quantize)
