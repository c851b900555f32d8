"""Large networks within a memory budget: the peak memory of the process, in tiles and untiled.

    python benchmarks/memory_budget.py [--target onnxruntime] [--precision int8] [--threads 0]

EDSR_x4 (43 M parameters) on a 510x339 image within 2 GB, which runs out of memory on the vendor's
accelerator, and EDSR_baseline_x4 (1.5 M) giving 32 megapixels within 1 GB. The weights are random: neither
memory nor time depends on them. Each figure is of a fresh process that runs one image, Python and libraries
included. An untiled run that needs more than this machine's free memory is estimated, not run.
"""

import argparse
import tempfile
from dataclasses import dataclass
from pathlib import Path

from targets_side_by_side import build

from edsr_int8.machine import machine
from edsr_int8.models.description import Description
from edsr_int8.targets.base import open_target
from edsr_int8.targets.execution.build import read_build
from edsr_int8.targets.execution.timing import measure
from edsr_int8.targets.row import TargetRow
from edsr_int8.tiling import MIB


@dataclass(frozen=True)
class Case:
    network: Description
    height: int
    width: int
    budget_mb: int


CASES = {
    "EDSR_x4": Case(Description("edsr", 256, 32, 4, 0.1, "pixelshuffle"), 339, 510, 2048),
    "EDSR_baseline_x4": Case(Description("edsr", 64, 16, 4, 1.0, "pixelshuffle"), 1230, 1640, 1024),
}


def needed_mb(model: Path, target: str, case: Case) -> float:
    """MiB that an untiled run is expected to need."""
    needs = open_target(TargetRow(target, threads=0, memory_budget_mb=1)).capabilities
    found = read_build(model)
    per_pixel = found.whole.memory_per_pixel(needs)
    weights = needs.overhead_bytes + needs.weight_factor * found.weight_bytes
    return (weights + per_pixel * case.height * case.width) / MIB


def free_mb() -> float:
    lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable")) / 1024


def run(name: str, case: Case, model: Path, given: argparse.Namespace) -> None:
    expected_mb = needed_mb(model, given.target, case)
    for label, budget_mb in (("in tiles", case.budget_mb), ("untiled", 2 * int(expected_mb) + 2**20)):
        line = f"{name:18s}{given.precision:6s}{case.width}x{case.height}  {label:9s}"
        if label == "untiled" and expected_mb > 0.8 * free_mb():
            print(f"{line} about {expected_mb:8.0f} MB, more than is free here: not run")
            continue
        target = open_target(TargetRow(given.target, threads=given.threads, memory_budget_mb=budget_mb))
        found = measure(target, model, height=case.height, width=case.width, runs=1, warmup=0)
        if found.latency_ms is None:
            print(f"{line} {found.status}")
            continue
        budget = f" of {budget_mb} MB" if label == "in tiles" else ""
        print(f"{line} peak {found.peak_memory_mb:8.0f} MB{budget}, {found.latency_ms / 1e3:.1f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--target", default="onnxruntime")
    parser.add_argument("--precision", default="int8", choices=["fp32", "int8"])
    parser.add_argument("--threads", type=int, default=0, help="0: all cores")
    parser.add_argument("--cases", default=",".join(CASES))
    given = parser.parse_args()
    print(f"{machine()}; {given.target}")
    for name in given.cases.split(","):
        with tempfile.TemporaryDirectory() as folder:
            builds = build(CASES[name].network, None, Path(folder))
            run(name, CASES[name], builds[given.precision], given)


if __name__ == "__main__":
    main()
