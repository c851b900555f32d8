"""A sweep of 12 percentiles: one pass over the images and 12 look-ups, against 12 runs of quantize_static.

    python benchmarks/percentile_sweep.py [--networks r8f64x2,edsr_x2_sample] [--images 4] [--theirs 12]

The same photographs of BSD100, halved, for both; the builds are complete int8 ONNX files. onnxruntime's
runs are alike: with --theirs 3 three are made, and their time is multiplied.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
from foreign_quantizers import onnxruntime_static
from networks import SAMPLE, SHARED, calibration_images, float_model
from onnxruntime.quantization import CalibrationMethod

from edsr_int8.quantization.calibration.observe import observe
from edsr_int8.quantization.passes import Calibration
from edsr_int8.quantization.passes import run as run_passes
from edsr_int8.quantization.quantize import quantize
from edsr_int8.quantization.recipe import Recipe, Statistics

PERCENTILES = (99.0, 99.5, 99.8, 99.9, 99.95, 99.98, 99.99, 99.995, 99.998, 99.999, 99.9999, 100.0)


def seconds(run: Callable[[], None]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def evenly(count: int) -> list[float]:
    """So many of the percentiles, from the first to the last."""
    return [PERCENTILES[i] for i in np.linspace(0, len(PERCENTILES) - 1, count).round().astype(int)]


def build(graph: Path, histograms: Path, percentile: float, out: Path) -> None:
    """What the stage quantize makes of the row {ranges: percentile, percentile: ...}."""
    recipe = Recipe("int8", "percentile", percentile)
    none = out / "none"  # of these files the recipe reads none
    calibration = Calibration(graph, [], histograms, losses=none, gptq_weights=none, statistics=Statistics())
    quantize(run_passes(recipe, calibration), recipe, out)


def sweep(graph: Path, images: list[Path], folder: Path, theirs: int) -> None:
    """Print what each way takes for one network."""
    histograms = folder / "histograms.npz"
    once = seconds(lambda: observe(graph, images, histograms))
    found = {p: seconds(lambda p=p: build(graph, histograms, p, folder / f"{p:g}")) for p in PERCENTILES}
    print("  each quantize, s: " + "  ".join(f"{p:g}: {taken:.2f}" for p, taken in found.items()))
    ours = once + sum(found.values())
    print(f"  observe {once:6.1f} s + 12 quantize {sum(found.values()):5.1f} s = {ours:7.1f} s", flush=True)
    method, out = CalibrationMethod.Percentile, folder / "theirs.onnx"
    runs = [seconds(lambda p=p: onnxruntime_static(graph, images, out, method, p)) for p in evenly(theirs)]
    total = sum(runs) * len(PERCENTILES) / theirs
    estimated = "" if theirs == len(PERCENTILES) else f", from {theirs} runs"
    print(f"  quantize_static, median {median(runs):6.1f} s; 12 runs{estimated} = {total:7.1f} s")
    print(f"  {total / ours:.0f} times as long", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="A sweep of percentiles beside onnxruntime's")
    parser.add_argument("--networks", default=f"r8f64x2,{SAMPLE}")
    parser.add_argument("--images", type=int, default=4)
    parser.add_argument("--theirs", type=int, default=12, choices=range(2, 13), metavar="2..12")
    parser.add_argument("--shared", type=Path, default=SHARED)
    options = parser.parse_args()
    for name in options.networks.split(","):
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            images = calibration_images(folder / "calibration", options.images, options.shared)
            print(f"{name}, {len(images)} images, percentiles {PERCENTILES[0]:g} to {PERCENTILES[-1]:g}")
            sweep(float_model(name, folder, options.shared), images, folder, options.theirs)


if __name__ == "__main__":
    main()
