"""All that a precision row takes forward passes for -> build/<model>/<precision>/tune, and its curve."""

from edsr_int8 import layout
from edsr_int8.errors import InputError
from edsr_int8.files import link
from edsr_int8.params import Params, row
from edsr_int8.quantization.mixed import floats_of
from edsr_int8.quantization.prepare import prepare, write_nothing
from stages.precision import preparation
from stages.run import run


def tune(params: Params, model: str, precision: str) -> None:
    wanted, out = row(params.precisions, precision, "precisions"), layout.tuned(model, precision)
    graph, losses = layout.export(model) / "float.onnx", layout.sensitivity(model)
    images = sorted((layout.images(model) / "calibration").rglob("*.png"))
    try:
        floats = floats_of(
            graph, losses, wanted.float_layers, wanted.budget, bypass=wanted.bypass, narrowed=wanted.narrow
        )
        if preparation(wanted).needed or floats:
            prepare(graph, layout.histograms(model), images, out, preparation(wanted), floats)
        else:
            write_nothing(out)
    except InputError as error:
        raise InputError(f"precisions.{precision}: {error}") from None
    link(out / "curve.csv", layout.curve(model, precision))


if __name__ == "__main__":
    run(tune)
