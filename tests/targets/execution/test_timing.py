"""Timings: figures that are consistent, and a peak of memory that is the build's own."""

from pathlib import Path

import numpy as np
import pytest
from tiny_build import Tiny

from edsr_int8.targets.base import open_target
from edsr_int8.targets.execution.timing import counted_seconds, measure
from edsr_int8.targets.row import TargetRow

ROW = TargetRow("onnxruntime", threads=1, memory_budget_mb=1024)


def test_figures_are_consistent(tiny: Tiny) -> None:
    ballast = np.ones(400 * 2**20, np.uint8)  # in this process, so not in the build's peak
    result = measure(open_target(ROW), tiny.path, height=60, width=50, runs=3, warmup=1)
    assert result.status == "ok" and result.threads == 1 and result.runtime == "onnxruntime"
    pixels_per_ms = 4 * 60 * 50 / result.latency_ms
    assert result.megapixels_per_s == pytest.approx(pixels_per_ms / 1e3)
    assert result.load_s > 0 and result.spread_ms >= 0
    assert 20 < result.peak_memory_mb < ballast.nbytes / 2**20


@pytest.mark.parametrize(
    ("runs", "warmup", "taken", "counted"),
    [
        (5, 1, [9, 1, 1, 1, 1, 1], [1, 1, 1, 1, 1]),  # hundredths of a second: all runs, without the first
        (5, 1, [45, 20, 20], [45, 20, 20]),  # long: three are enough, and their median is no first run's
        (5, 1, [15, 15, 15, 15], [15, 15, 15]),
        (5, 1, [200, 160], [160]),  # so long that one is enough
        (1, 1, [2000], [2000]),  # a reference, in minutes
        (1, 0, [1], [1]),
        (2, 1, [45, 45], [45, 45]),
    ],
)
def test_where_runs_are_long_fewer_will_do(
    runs: int, warmup: int, taken: list[int], counted: list[int]
) -> None:
    now, left = 0.0, list(taken)

    def run() -> None:
        nonlocal now
        now += left.pop(0) / 100

    found = counted_seconds(run, runs, warmup, clock=lambda: now)
    assert found == pytest.approx([hundredths / 100 for hundredths in counted]) and not left


def test_one_run_has_no_spread(tiny: Tiny) -> None:
    assert measure(open_target(ROW), tiny.path, height=8, width=8, runs=1).spread_ms is None


def test_a_build_that_cannot_run_has_a_status_and_no_figures(foreign: Path) -> None:
    result = measure(open_target(ROW), foreign, height=8, width=8)
    assert result.status.startswith(f"unavailable: {foreign}: Unheard")
    assert result.latency_ms is None and result.peak_memory_mb is None
