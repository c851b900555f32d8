"""build/sensitivity/<model>.csv: where the int8 loss comes from, tensor by tensor and layer by layer."""

from edsr_int8.pipeline import layout
from edsr_int8.pipeline.model_images import calibration_images
from edsr_int8.pipeline.needs import skip_unneeded
from edsr_int8.pipeline.rows import Params
from edsr_int8.pipeline.run import run
from edsr_int8.pipeline.torch_device import torch_device
from edsr_int8.pipeline.torch_settings import settle_torch


def sensitivity(_: Params, model: str) -> None:
    out = layout.sensitivity(model)
    if skip_unneeded("sensitivity", out):
        return
    from edsr_int8.quantization.analysis.losses import write_losses
    from edsr_int8.quantization.analysis.sensitivity import measure_losses  # torch: only where it is needed

    settle_torch()
    images = calibration_images(model)
    graph, histograms = layout.export(model) / "float.onnx", layout.histograms(model)
    write_losses(out, measure_losses(graph, histograms, images, device=torch_device()))


if __name__ == "__main__":
    run(sensitivity)
