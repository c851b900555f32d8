"""A build as it ships beside its wrapped form, in turns: the same pixels, and how much time either takes.

    python benchmarks/graph_forms.py [MODEL.onnx ...] [--runs 10] [--height 256 --width 256] [--threads 0]
                                     [--targets onnxruntime,openvino]

Without a MODEL, the int8 builds of the last `dvc repro`.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np

from edsr_int8.machine import cores, machine
from edsr_int8.onnx_graph import OPSET
from edsr_int8.progress import bar
from edsr_int8.targets.base import Runner, Unavailable, open_target
from edsr_int8.targets.form import Form, save_in_form
from edsr_int8.targets.row import TargetRow

ROOT = Path(__file__).resolve().parents[1]
SETTLE = 0.2  # seconds: onnxruntime's threads go on spinning after a run


def in_turns(runners: list[Runner], image: np.ndarray, runs: int) -> list[float]:
    """Median seconds of each."""
    seconds: list[list[float]] = [[] for _ in runners]
    for _ in bar(range(runs), "turns"):
        for runner, times in zip(runners, seconds, strict=True):
            time.sleep(SETTLE)
            start = time.perf_counter()
            runner(image)
            times.append(time.perf_counter() - start)
    return [median(times) for times in seconds]


def main() -> None:
    parser = argparse.ArgumentParser(description="A build beside its wrapped form")
    parser.add_argument("models", type=Path, nargs="*")
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--height", type=int, default=256)
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--threads", type=int, default=0, help="0: all cores")
    parser.add_argument("--targets", default="onnxruntime,openvino")
    options = parser.parse_args()
    models = options.models or sorted(ROOT.glob("build/*/int8*/model.onnx"))
    shape = (1, 3, options.height, options.width)
    image = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    load = f"load average {os.getloadavg()[0]:.1f}"
    print(f"{machine()}; {options.threads or cores()} threads; {load}; medians of {options.runs} turns")
    print(f"{'as shipped, ms':>65s}{'wrapped, ms':>13s}{'ratio':>8s}  same bytes")
    for model in models:
        for name in options.targets.split(","):
            target = open_target(TargetRow(name, threads=options.threads))
            with tempfile.TemporaryDirectory() as folder:
                wrapped = Path(folder) / "wrapped.onnx"
                save_in_form(model, Form(OPSET), wrapped)
                try:
                    runners = [target.load(path) for path in (model, wrapped)]
                except Unavailable as error:
                    print(f"{model} on {name}: {error}")
                    continue
                same = np.array_equal(*(run(image) for run in runners))
                first, second = in_turns(runners, image, options.runs)
            row = f"{'/'.join(model.parts[-3:-1]):35s}{name:15s}{1e3 * first:15.1f}{1e3 * second:13.1f}"
            print(f"{row}{first / second:8.3f}  {'yes' if same else 'NO'}", flush=True)


if __name__ == "__main__":
    main()
