"""What the stages `observe`, `finetune` and `quantize` make of a float graph and a few images."""

from pathlib import Path

import numpy as np

from edsr_int8.cluster.in_process import InProcess
from edsr_int8.data.images import write_png
from edsr_int8.quantization.calibration.observe import observe
from edsr_int8.quantization.passes import Calibration, run
from edsr_int8.quantization.quantize import quantize
from edsr_int8.quantization.recipe import Recipe, Statistics

FEW = Statistics(crops=8, patch=16)


def observed(graph: Path, folder: Path, *images: np.ndarray, statistics: Statistics = FEW) -> Calibration:
    """`graph`, the float model, calibrated on uint8 HWC `images`; files go into `folder`."""
    for i, image in enumerate(images):
        write_png(folder / f"images/{i}.png", image)
    paths = sorted((folder / "images").iterdir())
    observe(graph, paths, folder / "histograms.npz", executor=InProcess(1))
    return Calibration(
        float_model=graph,
        images=paths,
        histograms=folder / "histograms.npz",
        losses=folder / "losses.csv",
        gptq_weights=folder / "gptq.npz",
        statistics=statistics,
    )


def build(recipe: Recipe, calibration: Calibration, folder: Path) -> Path:
    """The int8 graph of `recipe`."""
    quantize(run(recipe, calibration), recipe, folder)
    return folder / "model.onnx"
