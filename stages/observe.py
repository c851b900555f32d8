"""The float graph over the calibration images -> build/histograms/<model>.npz, of every activation."""

from edsr_int8.pipeline import layout
from edsr_int8.pipeline.rows import Params
from edsr_int8.pipeline.run import run
from edsr_int8.quantization.calibration.observe import observe as observe_images


def observe(_: Params, model: str) -> None:
    images = sorted((layout.images(model) / "calibration").rglob("*.png"))
    observe_images(layout.export(model) / "float.onnx", images, layout.histograms(model))


if __name__ == "__main__":
    run(observe)
