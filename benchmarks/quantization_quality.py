"""What int8 costs the picture: PSNR of fp32 minus int8, ours beside onnxruntime's and NNCF's, in one run.

    python benchmarks/quantization_quality.py
        [--networks r8f64x2,mobile_f32b5x2] [--sets Set5,DIV2K_valid_crops] [--images 50]
        [--contenders int8,nncf,...] [--scheme int8_symmetric] [--builds FOLDER [--reuse int8_tuned,...]]

Ours are the int8 rows of presets/quality.yaml. All are calibrated on
the same photographs of BSD100, halved, and scored in onnxruntime on sets that none has seen: RGB, two pixels
shaved, outputs clipped and rounded to uint8. Finetuning takes minutes to half an hour a network on 2 cores.
--builds keeps every build as FOLDER/<network>/<contender>/model.onnx; --reuse takes those named from there.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import get_args

import numpy as np
import onnxruntime as ort
from foreign_quantizers import nncf_default, onnxruntime_static
from networks import ROOT, SHARED, calibration_images, float_model
from onnxruntime.quantization import CalibrationMethod

from edsr_int8.data.degrade.bicubic import reduce
from edsr_int8.data.images import read_rgb
from edsr_int8.metrics.protocols import PROTOCOLS, scored_pixels
from edsr_int8.metrics.psnr import psnr_db
from edsr_int8.onnx_session import session_options
from edsr_int8.pipeline.params import load
from edsr_int8.pipeline.torch_settings import settle_torch
from edsr_int8.quantization.algorithms.gptq import round_for_all
from edsr_int8.quantization.analysis.losses import write_losses
from edsr_int8.quantization.analysis.sensitivity import measure_losses
from edsr_int8.quantization.augmentation import augmentation
from edsr_int8.quantization.calibration.observe import observe
from edsr_int8.quantization.passes import Calibration
from edsr_int8.quantization.passes import run as run_passes
from edsr_int8.quantization.quantize import quantize
from edsr_int8.quantization.recipe import Recipe
from edsr_int8.quantization.scheme import DEFAULT, Scheme
from edsr_int8.targets.unsigned import load_unsigned

SCALE = 2
PRESET = ROOT / "presets/quality.yaml"
# From a float graph and images to an int8 build.
Quantizer = Callable[[Path, Sequence[Path], Path], None]


def our_recipes(scheme: Scheme) -> dict[str, Recipe]:
    rows = {name: row for name, row in load(PRESET).precisions.items() if row.dtype == "int8"}
    return {name: replace(row, scheme=scheme) for name, row in rows.items()}


def ours(recipe: Recipe, graph: Path, images: Sequence[Path], out: Path) -> None:
    """What the stages observe, sensitivity, gptq, finetune and quantize make of a recipe."""
    calibration = Calibration(
        float_model=graph,
        images=images,
        histograms=out.with_name("histograms.npz"),
        losses=out.with_name("losses.csv"),
        gptq_weights=out.with_name("gptq.npz"),
        statistics=recipe.statistics,
        augmentation=augmentation(recipe),
    )
    settle_torch()
    if recipe.needs_histograms:
        observe(graph, images, calibration.histograms)
    if recipe.needs_sensitivity:
        write_losses(calibration.losses, measure_losses(graph, calibration.histograms, images))
    if recipe.needs_gptq_weights:
        forms = [recipe.structure]
        round_for_all(graph, calibration.histograms, images, calibration.gptq_weights, structures=forms)
    quantize(run_passes(recipe, calibration), recipe, out.parent)


def contenders(scheme: Scheme) -> dict[str, Quantizer]:
    ways = (CalibrationMethod.MinMax, CalibrationMethod.Percentile, CalibrationMethod.Entropy)
    return {
        **{f"onnxruntime {way.name}": partial(onnxruntime_static, method=way) for way in ways},
        "nncf": nncf_default,
        **{name: partial(ours, recipe) for name, recipe in our_recipes(scheme).items()},
    }


def pairs(name: str, shared: Path) -> list[tuple[np.ndarray, np.ndarray]]:
    """Degraded image and reference, uint8 HWC RGB; the degraded one by MATLAB's bicubic."""
    references = [read_rgb(path) for path in sorted((shared / "data" / name / "HR").glob("*.png"))]
    whole = [r[: r.shape[0] // SCALE * SCALE, : r.shape[1] // SCALE * SCALE] for r in references]
    return [(reduce(reference, SCALE), reference) for reference in whole]


def scores(model: Path, images: Sequence[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """PSNR in dB of each image by a build, or by a graph with a float image in and out."""
    session = ort.InferenceSession(load_unsigned(model), session_options())
    kind = np.uint8 if session.get_inputs()[0].type == "tensor(uint8)" else np.float32

    def psnr(degraded: np.ndarray, reference: np.ndarray) -> float:
        image = np.ascontiguousarray(degraded.transpose(2, 0, 1)[None], kind)
        output = session.run(None, {"image": image})[0][0].transpose(1, 2, 0)
        found, wanted = (scored_pixels(x, PROTOCOLS["basicsr"], SCALE) for x in (output, reference))
        return psnr_db(found, wanted)

    return np.array([psnr(*pair) for pair in images])


def measure(network: str, chosen: Mapping[str, Quantizer], options: argparse.Namespace, builds: Path) -> None:
    """Build and score one network; a line as soon as each is there."""
    folder = builds / network
    graph = float_model(network, folder, options.shared)
    images = calibration_images(folder / "calibration" / str(options.images), options.images, options.shared)
    sets = {name: pairs(name, options.shared) for name in options.sets.split(",")}
    reference = {name: scores(graph, found) for name, found in sets.items()}
    figures = "".join(f"{reference[name].mean():20.4f}" for name in sets)
    print(f"\n{network:24s}{'seconds':>8s}" + "".join(f"{name:>20s}" for name in sets))
    print(f"{'fp32, dB':24s}{'':8s}{figures}", flush=True)
    for name, quantizer in chosen.items():
        model, start = folder / name.replace(" ", "_") / "model.onnx", time.perf_counter()
        reused = name in options.reuse.split(",") and model.exists()
        if not reused:
            quantizer(graph, images, model)
        seconds = "reused" if reused else f"{time.perf_counter() - start:.0f}"
        drops = [reference[key] - scores(model, found) for key, found in sets.items()]
        figures = "".join(f"{f'{drop.mean():.3f} ({drop.max():.3f})':>20s}" for drop in drops)
        print(f"{name:24s}{seconds:>8s}{figures}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="Quality of int8 beside other tools'")
    parser.add_argument("--networks", default="r8f64x2,mobile_f32b5x2")
    parser.add_argument("--sets", default="Set5,DIV2K_valid_crops")
    parser.add_argument("--contenders", default=",".join(contenders(DEFAULT)))
    parser.add_argument("--scheme", default=DEFAULT, choices=get_args(Scheme), help="of ours")
    parser.add_argument("--images", type=int, default=50, help="calibration images")
    parser.add_argument("--builds", type=Path, help="a folder that keeps the builds")
    parser.add_argument("--reuse", default="", help="contenders whose builds are taken from there")
    parser.add_argument("--shared", type=Path, default=SHARED)
    options = parser.parse_args()
    known = contenders(options.scheme)
    if unknown := [name for name in options.contenders.split(",") if name not in known]:
        parser.error(f"--contenders: {unknown[0]!r} is unknown; known are {', '.join(known)}")
    chosen = {name: known[name] for name in options.contenders.split(",")}
    scheme = "" if options.scheme == DEFAULT else f"; {options.scheme}"
    print(
        f"PSNR drop in dB (of the worst image), RGB, shave 2; calibrated on {options.images} images{scheme}"
    )
    with tempfile.TemporaryDirectory() as temporary:
        for network in options.networks.split(","):
            measure(network, chosen, options, options.builds or Path(temporary))


if __name__ == "__main__":
    main()
