"""Some evaluation images -> build/coverage/<model>.json: how much the calibrated ranges clip of them."""

from edsr_int8.files import write_json
from edsr_int8.pipeline import layout
from edsr_int8.pipeline.executor import executor
from edsr_int8.pipeline.rows import Params
from edsr_int8.pipeline.run import run
from edsr_int8.quantization.analysis.coverage import measure_coverage


def coverage(_: Params, model: str) -> None:
    histograms = layout.histograms(model)
    images = sorted((layout.images(model) / "evaluation").glob("*/lr/**/*.png"))
    clipped: dict[str, float] = {}
    if histograms.stat().st_size:  # empty where no row needs them
        float_model = layout.export(model) / "float.onnx"
        clipped = measure_coverage(float_model, histograms, images, executor=executor())
    write_json(layout.coverage(model), clipped)


if __name__ == "__main__":
    run(coverage)
