"""build/sensitivity/<model>.csv: where the int8 loss comes from, tensor by tensor and layer by layer."""

from edsr_int8.pipeline import layout
from edsr_int8.pipeline.rows import Params
from edsr_int8.pipeline.run import run
from edsr_int8.quantization.analysis.losses import write_losses
from edsr_int8.quantization.analysis.sensitivity import measure_losses


def sensitivity(_: Params, model: str) -> None:
    images = sorted((layout.images(model) / "calibration").rglob("*.png"))
    losses = measure_losses(layout.export(model) / "float.onnx", layout.histograms(model), images)
    write_losses(layout.sensitivity(model), losses)


if __name__ == "__main__":
    run(sensitivity)
