"""What running on a cluster costs and gives: throughput, overhead, busy workers, memory, kills.

    python benchmarks/scaling.py [--parts throughput,overhead,busy,memory] [--frames 1000]

throughput: `infer` of a network like edsr_x1_sample by 2 single-threaded Dask workers beside one process with
two threads, in turns. overhead: a Dask map of work that does nothing, 16 images a batch. busy: 64 workers
whose work is to sleep. memory: `infer` and `evaluate` of frames of 1280x720 in a process each, over 10 and
over --frames, where it is killed at a random moment and run again. Weights are random; neither time nor
memory depends on them. Needs `pip install 'edsr-int8[cluster]'`.
"""

import argparse
import contextlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from edsr_int8.cluster.in_process import InProcess
from edsr_int8.cluster.work import Contents, Item
from edsr_int8.machine import machine

WIDTH, HEIGHT = 1280, 720
DIFFERENT = 20  # frames; the others are links to them
QUIET = {"dashboard_address": ":0", "silence_logs": 50}


@dataclass(frozen=True)
class Sleep:
    """Work that takes `seconds` an image on average, from half of it to one and a half, and no CPU.

    It gives the seconds that it took: on a busy machine, a sleep lasts longer than asked for.
    """

    seconds: float
    memory_mb = 0

    def facts(self) -> Mapping[str, Any]:
        return {}

    def open(self, threads: int) -> Callable[[Iterable[Contents]], Iterator[float]]:
        return self._run

    def _run(self, contents: Iterable[Contents]) -> Iterator[float]:
        for item in contents:
            start = time.perf_counter()
            if self.seconds:
                time.sleep(self.seconds * (0.5 + random.Random(item.name).random()))
            yield time.perf_counter() - start


def network(folder: Path, features: int, blocks: int) -> Path:
    """A build that removes blur, with random weights."""
    import torch

    from edsr_int8.checkpoints.facts import NetworkFacts
    from edsr_int8.export import float_graph
    from edsr_int8.models.build import build
    from edsr_int8.models.description import Description
    from edsr_int8.onnx_file import write_onnx
    from edsr_int8.onnx_graph import uint8_graph

    torch.manual_seed(0)
    description = Description("edsr", features, blocks, 1, 1.0, "none")
    nothing = {"source": "official", "params": 0, "macs_per_pixel": 0, "receptive_radius": 0}
    facts = NetworkFacts(**asdict(description), **nothing, weights_sha256="")
    folder.mkdir(parents=True, exist_ok=True)
    write_onnx(uint8_graph(float_graph(build(description).eval(), facts)), folder / "model.onnx")
    return folder / "model.onnx"


def frames(folder: Path, count: int, height: int = HEIGHT, width: int = WIDTH) -> None:
    """folder/{lr,hr}/*.png, cut from scikit-image's photographs; after DIFFERENT they repeat as links."""
    import cv2
    import numpy as np
    from skimage import data

    from edsr_int8.data.images import write_png

    photographs = [data.astronaut(), data.chelsea(), data.coffee(), data.rocket()]
    for number in range(count):
        for kind in ("lr", "hr"):
            path = folder / kind / f"{number:05}.png"
            if number >= DIFFERENT:
                os.link(folder / kind / f"{number % DIFFERENT:05}.png", path)
                continue
            image = cv2.resize(photographs[number % 4], (width, height), interpolation=cv2.INTER_CUBIC)
            image = np.roll(image, 37 * number, axis=1)
            write_png(path, cv2.blur(image, (5, 1)) if kind == "lr" else image)


def infer_with(executor: Any, model: Path, data: Path, folder: Path, threads: int = 0) -> None:
    from edsr_int8.targets.base import open_target
    from edsr_int8.targets.execution.infer import infer
    from edsr_int8.targets.row import TargetRow

    target = open_target(TargetRow("onnxruntime", threads=threads, memory_budget_mb=2048))
    infer(target, model, {"set": data}, folder / "out", partial=folder / "partial", executor=executor)


def evaluate_in(data: Path, folder: Path) -> None:
    from edsr_int8.metrics.evaluate import Folders, evaluate
    from edsr_int8.metrics.protocols import PROTOCOLS

    folders = Folders(lr=data / "lr", hr=data / "hr", outputs=folder / "out" / "set")
    evaluate(folders, protocols=[PROTOCOLS["benchmark_y"]], scale=1, partial=folder / "scores")


@contextlib.contextmanager
def dask_of(workers: int, *, processes: bool = True) -> Iterator[Any]:
    from distributed import LocalCluster

    from edsr_int8.cluster.dask import Dask

    with LocalCluster(
        n_workers=workers, threads_per_worker=1, processes=processes, memory_limit="4GiB" if processes else 0,
        **QUIET,
    ) as cluster:  # fmt: skip
        yield Dask(cluster.scheduler_address)


def throughput(folder: Path) -> None:
    model, count = network(folder / "x1", 32, 9), 24
    frames(folder / "data", count, 180, 320)
    seconds: dict[str, list[float]] = {"2 threads": [], "2 workers": []}
    with dask_of(2) as cluster:
        infer_with(cluster, model, folder / "data", folder)  # workers import what they need
        for _ in range(5):
            for name, executor in (("2 threads", InProcess()), ("2 workers", cluster)):
                start = time.perf_counter()
                infer_with(executor, model, folder / "data", folder)
                seconds[name].append(time.perf_counter() - start)
    for name, taken in seconds.items():
        print(f"infer, {name:12s} {count / median(taken):6.2f} images a second (median of {len(taken)})")
    ratios = sorted(a / b for a, b in zip(*seconds.values(), strict=True))
    spread = f"{ratios[0]:.2f} to {ratios[-1]:.2f}"
    print(f"2 workers beside 2 threads: {median(ratios):.2f} times the throughput ({spread})")


def items(folder: Path, count: int, size: int) -> list[Item]:
    folder.mkdir()
    (folder / "x.png").write_bytes(os.urandom(size))
    return [Item(str(number), (folder / "x.png",)) for number in range(count)]


def overhead(folder: Path) -> None:
    from distributed import Client

    for size in (20_000, 200_000):
        given = items(folder / f"of {size}", 960, size)
        with dask_of(2) as cluster, Client(cluster.address, set_as_default=False) as client:

            def cpu_s(client: Client = client) -> float:
                """Of this process, which has the scheduler as well, and of the workers."""
                return time.process_time() + sum(client.run(time.process_time).values())

            wall, cpu = [], []
            for _ in range(4):
                start, cpu_before = time.perf_counter(), cpu_s()
                assert len(list(cluster.map(Sleep(0), given, "nothing"))) == len(given)
                wall.append((time.perf_counter() - start) / len(given))
                cpu.append((cpu_s() - cpu_before) / len(given))
        figures = f"{1e3 * median(wall[1:]):.2f} ms an image, of all CPUs {1e3 * median(cpu[1:]):.2f} ms"
        print(f"overhead, images of {size / 1e3:3.0f} kB: {figures}")


def busy(folder: Path) -> None:
    import dask.config

    workers, seconds = 64, 0.5
    given = items(folder / "sleep", workers * 16 * 20, 20_000)
    # A worker looks at itself a hundred times a second: 64 of them in one process would do little else.
    calm = {
        "distributed.worker.profile.enabled": False,
        "distributed.worker.memory.monitor-interval": "10s",
        "distributed.admin.system-monitor.interval": "10s",
    }
    with dask.config.set(calm), dask_of(workers, processes=False) as cluster:
        list(cluster.map(Sleep(0), given[: workers * 16], "warm"))
        start = time.perf_counter()
        slept = sum(cluster.map(Sleep(seconds), given, "sleep"))
        wall = time.perf_counter() - start
    share = slept / (workers * wall)
    print(
        f"{workers} workers, {len(given)} images of {seconds} s, 16 a batch, {wall:.1f} s: {share:.1%} busy"
    )


def alone() -> None:
    """In a process that `measure` started: run one stage and print its peak memory."""
    stage, model, data, folder, log = sys.argv[2:]
    if stage == "infer":
        from edsr_int8.targets.execution import infer as module

        name = "encode_png"
    else:
        from edsr_int8.metrics import evaluate as module

        name = "score_image"
    counted, computed = getattr(module, name), os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def count(*arguments: Any) -> Any:
        os.write(computed, b".")
        return counted(*arguments)

    setattr(module, name, count)
    if stage == "infer":
        infer_with(InProcess(1), Path(model), Path(data), Path(folder))
    else:
        evaluate_in(Path(data), Path(folder))
    status = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
    print(int(status["VmHWM"].split()[0]) / 1024)


def measure(stage: str, model: Path, data: Path, folder: Path, kill_at: int = 0) -> tuple[float, float, int]:
    """Peak memory in MB, seconds, frames computed; killed at frame `kill_at` and run again, both count."""
    log = folder / f"{stage}.computed"
    log.write_bytes(b"")
    command = [sys.executable, __file__, "--alone", stage, str(model), str(data), str(folder), str(log)]
    if kill_at:
        first = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        while log.stat().st_size < kill_at:
            time.sleep(0.05)
        first.send_signal(signal.SIGKILL)
        first.wait()
    start = time.perf_counter()
    found = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return float(found.splitlines()[-1]), time.perf_counter() - start, log.stat().st_size


def memory(folder: Path, count: int) -> None:
    model = network(folder / "tiny", 8, 1)
    moment = random.SystemRandom().randrange(count // 20, count // 2)
    for number, kill_at in ((10, 0), (count, moment)):
        frames(folder / f"frames {number}", number)
        work = folder / f"work {number}"
        work.mkdir()
        for stage in ("infer", "evaluate"):
            peak, taken, computed = measure(stage, model, folder / f"frames {number}", work, kill_at)
            killed = f" killed at frame {kill_at}, {computed - number} computed twice" if kill_at else ""
            line = f"{stage:9s}{number:6d} frames  peak {peak:5.0f} MB  {taken:6.1f} s"
            print(line + killed, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parts", default="throughput,overhead,busy,memory")
    parser.add_argument("--frames", type=int, default=1000)
    given = parser.parse_args()
    print(machine())
    parts: dict[str, Callable[[Path], None]] = {
        "throughput": throughput, "overhead": overhead, "busy": busy,
        "memory": lambda folder: memory(folder, given.frames),
    }  # fmt: skip
    for part in given.parts.split(","):
        with tempfile.TemporaryDirectory() as folder:
            parts[part](Path(folder))
        sys.stdout.flush()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--alone"]:
        alone()
    else:
        main()
