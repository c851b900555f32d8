"""The float graph over the calibration images -> build/histograms/<model>.npz, of every activation."""

from edsr_int8 import layout
from edsr_int8.params import Params
from edsr_int8.quantization.observe import observe as observe_images
from stages.run import run


def observe(_: Params, model: str) -> None:
    images = sorted((layout.images(model) / "calibration").rglob("*.png"))
    observe_images(layout.export(model) / "float.onnx", images, layout.histograms(model))


if __name__ == "__main__":
    run(observe)
