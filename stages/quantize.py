"""build/<model>/export, histograms, weights -> build/<model>/<precision>: the ONNX that ships, its ranges."""

from edsr_int8 import layout
from edsr_int8.errors import InputError
from edsr_int8.files import link, write_json
from edsr_int8.params import Params, row
from edsr_int8.quantization.quantize import quantize as quantize_network
from stages.precision import preparation
from stages.run import run


def quantize(params: Params, model: str, precision: str) -> None:
    wanted, out = row(params.precisions, precision, "precisions"), layout.precision(model, precision)
    graphs = layout.export(model)
    if wanted.dtype == "float32":
        link(graphs / "uint8.onnx", out / "model.onnx")
        write_json(out / "ranges.json", {})
        return
    rounded = layout.rounded(model) if wanted.gptq else None
    try:
        quantize_network(
            graphs / "float.onnx", layout.histograms(model), out,
            ranges=preparation(wanted).ranges, share=wanted.share, bypass=wanted.bypass,
            narrowed=wanted.narrow, rounded=rounded, prepared=layout.tuned(model, precision),
        )  # fmt: skip
    except InputError as error:
        raise InputError(f"precisions.{precision}: {error}") from None


if __name__ == "__main__":
    run(quantize)
