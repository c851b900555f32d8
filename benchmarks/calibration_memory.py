"""Peak memory of calibration for 4 and for 64 images of one size, beside plain forward passes over them.

    python benchmarks/calibration_memory.py

Each figure is the peak resident memory of a fresh process, imports included. The network is the EDSR
baseline (64 features, 16 blocks, x2) with random weights, the images are cut from scikit-image's photographs.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

HEIGHT, WIDTH = 160, 240  # a photograph of BSD100, halved
COUNTS = (4, 64)


@dataclass(frozen=True)
class Cost:
    wall_s: float  # without imports
    cpu_s: float
    peak_mb: float  # with imports


Work = Callable[[], None]
Contender = Callable[[Path, list[Path]], Work]  # imports what it needs, which is not timed


def forward(graph: Path, images: list[Path]) -> Work:
    """Plain passes in onnxruntime, with its default options; the output is thrown away."""
    import numpy as np
    import onnxruntime as ort

    from edsr_int8.data.images import read_rgb

    def work() -> None:
        session = ort.InferenceSession(graph, providers=["CPUExecutionProvider"])
        for path in images:
            pixels = read_rgb(path).transpose(2, 0, 1)[None]
            session.run(None, {"image": np.ascontiguousarray(pixels, np.float32)})

    return work


def calibrate(graph: Path, images: list[Path]) -> Work:
    from edsr_int8.quantization.calibration.observe import observe

    return lambda: observe(graph, images, graph.parent / "histograms.npz")


def run_alone(contenders: Mapping[str, Contender]) -> None:
    """In a process that `cost` started: run the one that is asked for and print what it took."""
    name, graph, *images = sys.argv[2:]
    work = contenders[name](Path(graph), [Path(image) for image in images])
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    wall_s, cpu_s = time.perf_counter() - wall, time.process_time() - cpu
    print(json.dumps(asdict(Cost(wall_s, cpu_s, peak_mb()))))


def peak_mb() -> float:
    """Of this process. (getrusage's figure would begin at that of the process which started it.)"""
    status = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["VmHWM"].split()[0]) / 1024


def cost(script: str, name: str, graph: Path, images: list[Path]) -> Cost:
    """What contender `name` of `script` takes in a process of its own."""
    command = [sys.executable, script, "--alone", name, str(graph), *map(str, images)]
    found = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return Cost(**json.loads(found.splitlines()[-1]))


def make_network(folder: Path) -> Path:
    import torch

    from edsr_int8.checkpoints.facts import NetworkFacts
    from edsr_int8.export import float_graph
    from edsr_int8.models.build import build
    from edsr_int8.models.description import Description
    from edsr_int8.onnx_file import write_onnx

    torch.manual_seed(0)
    baseline = Description("edsr", features=64, blocks=16, scale=2, res_scale=1.0, upsampler="pixelshuffle")
    nothing = {"source": "official", "params": 0, "macs_per_pixel": 0, "receptive_radius": 0}
    facts = NetworkFacts(**asdict(baseline), **nothing, weights_sha256="")
    write_onnx(float_graph(build(baseline).eval(), facts), folder / "float.onnx")
    return folder / "float.onnx"


def make_images(folder: Path, count: int) -> list[Path]:
    from skimage import data

    from edsr_int8.data.images import write_png

    photographs = [data.astronaut(), data.chelsea(), data.coffee(), data.rocket()]
    for i in range(count):
        image = photographs[i % 4][3 * i % 140 :, 5 * i % 200 :][:HEIGHT, :WIDTH]
        write_png(folder / f"{i:02}.png", image)
    return sorted(folder.glob("*.png"))


CONTENDERS = {"plain forward passes": forward, "calibration (observe)": calibrate}


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        graph = make_network(Path(name))
        images = make_images(Path(name) / "images", max(COUNTS))
        print(f"peak memory, MB, images of {WIDTH}x{HEIGHT}")
        for contender in CONTENDERS:
            peaks = {count: cost(__file__, contender, graph, images[:count]).peak_mb for count in COUNTS}
            figures = "   ".join(f"{count} images {peak:6.0f}" for count, peak in peaks.items())
            print(f"{contender:22s} {figures}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--alone"]:
        run_alone(CONTENDERS)
    else:
        main()
