"""MLPerf Mobile's EDSR f32b5 as .tflite: its own int8 beside ours, in one interpreter on the same images.

    python benchmarks/mlperf_tflite.py edsr_f32b5_QAT.tflite [...] [--recipes int8,int8_tuned] [--images 50]

The files are those of mlcommons/mobile_models, v3_0/tflite: quantization-aware trained (QAT), or quantized
after training (full_qint8). Ours are the rows of presets/quality.yaml, made of the float weights of the same
network and written as .tflite on their own scales. LiteRT's interpreter with XNNPACK runs all; Set5, PSNR in
dB, two pixels shaved, RGB and Y.
"""

import argparse
import tempfile
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from statistics import fmean

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from networks import SHARED, calibration_images, float_model
from quantization_quality import SCALE, our_recipes, ours, pairs

from edsr_int8.machine import machine
from edsr_int8.metrics.protocols import PROTOCOLS, scored_pixels
from edsr_int8.metrics.psnr import psnr_db
from edsr_int8.quantization.scheme import DEFAULT
from edsr_int8.targets.base import compile_build
from edsr_int8.targets.row import TargetRow

NETWORK = "mobile_f32b5x2"
Upscale = Callable[[np.ndarray], np.ndarray]  # uint8 HWC RGB -> the same


def tflite(path: Path) -> Upscale:
    """A .tflite with uint8 images in and out, or with int8 ones, which are 128 less."""
    interpreter = Interpreter(model_path=str(path), num_threads=2)
    (taken,), (given,) = interpreter.get_input_details(), interpreter.get_output_details()
    less = {np.uint8: 0, np.int8: 128}

    def run(image: np.ndarray) -> np.ndarray:
        interpreter.resize_tensor_input(taken["index"], [1, *image.shape])
        interpreter.allocate_tensors()
        codes = (image.astype(np.int16) - less[taken["dtype"]]).astype(taken["dtype"])
        interpreter.set_tensor(taken["index"], codes[None])
        interpreter.invoke()
        made = interpreter.get_tensor(given["index"])[0].astype(np.int16) + less[given["dtype"]]
        return made.astype(np.uint8)

    return run


def report(name: str, path: Path, images: list[tuple[np.ndarray, np.ndarray]]) -> None:
    upscale = tflite(path)
    outputs = [(upscale(degraded), reference) for degraded, reference in images]
    figures = []
    for protocol in ("basicsr", "benchmark_y"):
        scored = [[scored_pixels(x, PROTOCOLS[protocol], SCALE) for x in pair] for pair in outputs]
        figures.append(fmean(psnr_db(*pair) for pair in scored))
    print(f"{name:36s}{path.stat().st_size:9d} bytes" + "".join(f"{x:10.4f}" for x in figures), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="MLPerf's int8 EDSR beside ours")
    parser.add_argument("theirs", type=Path, nargs="+")
    parser.add_argument("--recipes", default="int8,int8_tuned")
    parser.add_argument("--images", type=int, default=50, help="calibration images")
    parser.add_argument("--shared", type=Path, default=SHARED)
    options = parser.parse_args()
    print(f"{machine()}; ai-edge-litert {version('ai-edge-litert')}; Set5 x{SCALE}: RGB, Y")
    images = pairs("Set5", options.shared)
    for path in options.theirs:
        report(path.stem, path, images)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        graph = float_model(NETWORK, folder, options.shared)
        photographs = calibration_images(folder / "calibration", options.images, options.shared)
        for name in options.recipes.split(","):
            model = folder / name / "model.onnx"
            ours(our_recipes(DEFAULT)[name], graph, photographs, model)
            compile_build(TargetRow("litert"), model, model.parent)
            report(f"ours, {name}", model.with_name("model.tflite"), images)


if __name__ == "__main__":
    main()
