"""build/rounded/<model>.npz: the weights on their int8 grids, for the precision rows that ask for no more."""

from edsr_int8.pipeline import layout
from edsr_int8.pipeline.rows import Params
from edsr_int8.pipeline.run import run
from edsr_int8.quantization.algorithms.gptq import round_for_all


def gptq(_: Params, model: str) -> None:
    images = sorted((layout.images(model) / "calibration").rglob("*.png"))
    graph = layout.export(model) / "float.onnx"
    round_for_all(graph, layout.histograms(model), images, layout.gptq(model))


if __name__ == "__main__":
    run(gptq)
