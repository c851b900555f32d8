"""Every installed target side by side: fp32 and int8 builds, and the share of the GEMM rate they reach.

    python benchmarks/targets_side_by_side.py [--runs 10] [--height 512 --width 512] [--threads 0]
                                              [--targets onnxruntime,openvino] [--shared ../shared]
                                              [--model build/edsr_x2_sample]

Two EDSR x2 networks: r8f64, trained, from --shared (random weights where that is missing), and one of 16
blocks with random weights. int8 is strict int8 without any rewrite that a recipe asks for, folded is int8
with fold_long_skip. With --model, instead of these, the builds of a model that `dvc repro` made, in every
precision. Where NNCF is installed, also its int8 graphs of the same networks, on OpenVINO. Each
build has a process of its own, which sleeps while the others have their turn; a turn is one whole image,
untiled. Figures are medians over --runs turns, after one that does not count. The GEMM rate is the best
that any target reaches on 2048^3, measured in the same turns: uint8 x int8 -> uint8 for int8 builds,
float32 for fp32 builds.
"""

import argparse
import importlib.util
import math
import os
import tempfile
import time
from dataclasses import asdict, dataclass, field, replace
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edsr_int8.machine import cores, machine
from edsr_int8.models.complexity import macs_per_pixel
from edsr_int8.models.description import Description
from edsr_int8.progress import bar
from edsr_int8.targets.base import Unavailable, open_target
from edsr_int8.targets.execution.build import read_build
from edsr_int8.targets.execution.upscale import require
from edsr_int8.targets.row import TargetRow
from edsr_int8.targets.torch_threads import set_torch_threads

GEMM = 2048
NETWORKS = {
    "r8f64x2": Description("edsr", 64, 8, 2, 1.0, "pixelshuffle"),
    "r16f64x2": Description("edsr", 64, 16, 2, 1.0, "pixelshuffle"),
}
WEIGHTS = {"r8f64x2": "edsr_r8f64x2_official.pt"}
PRECISIONS = ("fp32", "int8")
FOLDED, NNCF = "folded", "nncf"  # int8 as well
UNBOUNDED_MB = 2**20
# onnxruntime's threads keep spinning for a while after a run, and would slow the next turn down.
SETTLE = 0.2  # seconds


@dataclass(frozen=True)
class Contender:
    subject: str  # a network, or gemm
    precision: str
    target: str
    shape: tuple[int, ...]
    macs: float  # of one run
    model: Path = field(compare=False)


def build(description: Description, weights: Path | None, folder: Path) -> dict[str, Path]:
    """The fp32 and the int8 builds of a network; random weights where it has none."""
    import torch

    from edsr_int8.checkpoints.convert import convert, load_network
    from edsr_int8.checkpoints.facts import NetworkFacts
    from edsr_int8.data.images import write_png
    from edsr_int8.export import float_graph
    from edsr_int8.models.build import build as build_network
    from edsr_int8.onnx_file import write_onnx
    from edsr_int8.onnx_graph import uint8_graph
    from edsr_int8.quantization.calibration.observe import observe
    from edsr_int8.quantization.passes import Calibration
    from edsr_int8.quantization.passes import run as run_passes
    from edsr_int8.quantization.quantize import quantize
    from edsr_int8.quantization.recipe import MODEL_CARD, Statistics

    if weights and weights.is_file():
        convert(weights, "official", description, folder / "network")
        graph = float_graph(*load_network(folder / "network"))
    else:
        torch.manual_seed(0)
        facts = {
            "source": "official",
            "params": 0,
            "macs_per_pixel": 0,
            "receptive_radius": 0,
            "weights_sha256": "",
        }
        graph = float_graph(build_network(description).eval(), NetworkFacts(**asdict(description), **facts))
    write_onnx(graph, folder / "float.onnx")
    write_onnx(uint8_graph(graph), folder / "uint8.onnx")
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    write_png(folder / "noise.png", noise)
    observe(folder / "float.onnx", [folder / "noise.png"], folder / "histograms.npz")
    recipes = {"int8": MODEL_CARD, FOLDED: replace(MODEL_CARD, fold_long_skip=True)}
    calibration = Calibration(
        float_model=folder / "float.onnx",
        images=[],
        histograms=folder / "histograms.npz",
        losses=folder / "none",
        gptq_weights=folder / "none",
        statistics=Statistics(),
    )
    for name, recipe in recipes.items():
        quantize(run_passes(recipe, calibration), recipe, folder / name)
    return {"fp32": folder / "uint8.onnx", **{name: folder / name / "model.onnx" for name in recipes}}


def nncf_build(model: Path, path: Path) -> Path:
    """NNCF's own int8 graph of the same network, by its defaults."""
    import nncf
    import openvino

    planes = np.random.default_rng(0).integers(0, 256, (1, 3, 64, 64), dtype=np.uint8)
    quantized = nncf.quantize(openvino.Core().read_model(model), nncf.Dataset([planes]), subset_size=1)
    openvino.save_model(quantized, path, compress_to_fp16=False)
    return path


def gemm(precision: str, folder: Path) -> Path:
    """A matrix product with constant weights, GEMM x GEMM x GEMM, in a precision's types."""
    weight = np.random.default_rng(0).integers(-127, 128, (GEMM, GEMM))
    if precision == "fp32":
        kind, constants = TensorProto.FLOAT, {"w": weight.astype(np.float32)}
        nodes = [helper.make_node("MatMul", ["image", "w"], ["output"])]
    else:
        kind = TensorProto.UINT8
        constants = {"codes": weight.astype(np.int8), "one": np.float32(1), "step": np.float32(4000)}
        constants |= {"zero": np.uint8(0), "middle": np.uint8(128), "signed": np.int8(0)}
        nodes = [
            helper.make_node("DequantizeLinear", ["image", "one", "zero"], ["x"]),
            helper.make_node("DequantizeLinear", ["codes", "one", "signed"], ["w"]),
            helper.make_node("MatMul", ["x", "w"], ["y"]),
            helper.make_node("QuantizeLinear", ["y", "step", "middle"], ["output"]),
        ]
    ends = [helper.make_tensor_value_info(name, kind, [GEMM, GEMM]) for name in ("image", "output")]
    tensors = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "gemm", ends[:1], ends[1:], tensors)
    path = folder / f"gemm_{precision}.onnx"
    onnx.save(helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 18)]), path)
    return path


def networks(model: Path | None) -> dict[str, Description]:
    """NETWORKS, or the network of a model's folder."""
    if model is None:
        return NETWORKS
    from edsr_int8.checkpoints.facts import read_facts

    return {model.name: read_facts(model / "checkpoint")}


def contenders(options: argparse.Namespace, folder: Path) -> list[Contender]:
    found = []
    targets = options.targets.split(",")
    shape = (1, 3, options.height, options.width)
    for name, description in networks(options.model).items():
        (folder / name).mkdir()
        macs = macs_per_pixel(description) * options.height * options.width
        if options.model:
            builds = {path.parent.name: path for path in sorted(options.model.glob("*/model.onnx"))}
        else:
            weights = options.shared / "weights" / WEIGHTS[name] if name in WEIGHTS else None
            builds = build(description, weights, folder / name)
        if importlib.util.find_spec("nncf") and "openvino" in targets:
            builds[NNCF] = nncf_build(builds["fp32"], folder / name / "nncf.xml")
        for precision, model in builds.items():
            on = ["openvino"] if precision == NNCF else targets
            found += [Contender(name, precision, target, shape, macs, model) for target in on]
    for precision in PRECISIONS:
        model = gemm(precision, folder)
        found += [Contender("gemm", precision, target, (GEMM, GEMM), GEMM**3, model) for target in targets]
    return found


def serve(contender: Contender, threads: int, pipe: Connection) -> None:
    """The entry of a process: load the build, then answer each request with the seconds of one run."""
    row = TargetRow(contender.target, threads=threads, memory_budget_mb=UNBOUNDED_MB)
    set_torch_threads(row)
    kind = np.float32 if (contender.subject, contender.precision) == ("gemm", "fp32") else np.uint8
    image = np.random.default_rng(0).integers(0, 256, contender.shape).astype(kind)
    target = open_target(row)
    try:
        require(target, dtype(contender))
        run = target.load(contender.model)
        run(image)
    except Unavailable as error:
        pipe.send(str(error))
        return
    pipe.send("")
    while pipe.recv():
        start = time.perf_counter()
        run(image)
        pipe.send(time.perf_counter() - start)


def dtype(contender: Contender) -> str:
    if contender.subject != "gemm" and contender.precision != NNCF:
        return read_build(contender.model).dtype
    return "float32" if contender.precision == "fp32" else "int8"


def interleaved(found: list[Contender], threads: int, runs: int) -> dict[Contender, float]:
    """Median seconds of each contender that can run; prints why the others cannot."""
    context, pipes = get_context("spawn"), {}
    for contender in found:
        ours, theirs = context.Pipe()
        context.Process(target=serve, args=(contender, threads, theirs), daemon=True).start()
        if why_not := ours.recv():
            print(f"{contender.subject} {contender.precision} on {contender.target}: {why_not}")
        else:
            pipes[contender] = ours
    seconds: dict[Contender, list[float]] = {contender: [] for contender in pipes}
    for _ in bar(range(runs), "turns"):
        for contender, pipe in pipes.items():
            time.sleep(SETTLE)
            pipe.send(True)
            seconds[contender].append(pipe.recv())
    for pipe in pipes.values():
        pipe.send(False)
    return {contender: median(times) for contender, times in seconds.items()}


def report(seconds: dict[Contender, float]) -> None:
    """One line a build: latency, rate, share of the best GEMM rate of its precision, speed-up over others."""
    rates = {contender: 2 * contender.macs / s / 1e9 for contender, s in seconds.items()}
    peaks = {p: [r for c, r in rates.items() if (c.subject, c.precision) == ("gemm", p)] for p in PRECISIONS}
    print(f"{'ms':>49s}{'GOP/s':>9s}{'of GEMM':>9s}{'over fp32':>11s}{'over NNCF':>11s}")
    for contender, s in seconds.items():
        others = [seconds.get(replace(contender, precision=p)) for p in ("fp32", NNCF)]
        kind = "fp32" if contender.precision == "fp32" else "int8"
        share = rates[contender] / max(peaks[kind], default=math.nan)
        name = f"{contender.subject:15s}{contender.precision:11s}{contender.target:13s}"
        over = [f"{other / s:.2f}" if other else "" for other in others]
        print(f"{name}{1e3 * s:10.1f}{rates[contender]:9.0f}{share:9.0%}{over[0]:>11s}{over[1]:>11s}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Targets side by side")
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--height", type=int, default=512)
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--threads", type=int, default=0, help="0: all cores")
    parser.add_argument("--targets", default="onnxruntime,openvino")
    parser.add_argument("--model", type=Path, help="the folder of a model that dvc repro made")
    parser.add_argument("--shared", type=Path, default=Path(__file__).resolve().parents[2] / "shared")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        seconds = interleaved(contenders(options, Path(folder)), options.threads, options.runs)
    load = f"load average {os.getloadavg()[0]:.1f}"
    print(f"{machine()}; {options.threads or cores()} threads; {load}; medians of {options.runs} turns")
    report(seconds)


if __name__ == "__main__":
    main()
