"""build/gptq/<model>.npz: weights rounded by GPTQ once, for all precision rows that learn nothing else."""

from edsr_int8.artifacts import read_json
from edsr_int8.pipeline import layout
from edsr_int8.pipeline.model_images import calibration_images
from edsr_int8.pipeline.needs import skip_unneeded
from edsr_int8.pipeline.rows import Params
from edsr_int8.pipeline.run import run
from edsr_int8.pipeline.torch_device import torch_device
from edsr_int8.pipeline.torch_settings import settle_torch
from edsr_int8.quantization.recipe import Structure


def gptq(_: Params, model: str) -> None:
    out = layout.gptq(model)
    if skip_unneeded("gptq", out):
        return
    from edsr_int8.quantization.algorithms.gptq import round_for_all  # torch: only where it is needed

    settle_torch()
    images = calibration_images(model)
    graph, histograms = layout.export(model) / "float.onnx", layout.histograms(model)
    structures = read_json(layout.settings("gptq"), list[Structure], "probe")
    round_for_all(graph, histograms, images, out, structures=structures, device=torch_device())


if __name__ == "__main__":
    run(gptq)
