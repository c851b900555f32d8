"""build/rounded/<model>.npz: the weights on their int8 grids, for the precision rows that ask for no more."""

from edsr_int8 import layout
from edsr_int8.params import Params
from edsr_int8.quantization.gptq import round_network
from stages.run import run


def round(_: Params, model: str) -> None:
    images = sorted((layout.images(model) / "calibration").rglob("*.png"))
    graph = layout.export(model) / "float.onnx"
    round_network(graph, layout.histograms(model), images, layout.rounded(model))


if __name__ == "__main__":
    run(round)
