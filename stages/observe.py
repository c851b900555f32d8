"""The float graph over the calibration images -> build/histograms/<model>.npz, of every activation."""

from edsr_int8.pipeline import layout
from edsr_int8.pipeline.executor import executor
from edsr_int8.pipeline.model_images import calibration_images
from edsr_int8.pipeline.needs import skip_unneeded
from edsr_int8.pipeline.rows import Params
from edsr_int8.pipeline.run import run


def observe(_: Params, model: str) -> None:
    out = layout.histograms(model)
    if skip_unneeded("observe", out):
        return
    from edsr_int8.quantization.calibration.observe import observe as observe_images  # onnxruntime

    images = calibration_images(model)
    observe_images(layout.export(model) / "float.onnx", images, out, executor=executor())


if __name__ == "__main__":
    run(observe)
