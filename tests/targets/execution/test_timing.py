"""Timings: figures that are consistent, and a peak of memory that is the build's own."""

from pathlib import Path

import numpy as np
import pytest
from tiny_build import Tiny

from edsr_int8.targets.base import open_target
from edsr_int8.targets.execution.timing import measure
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


def test_one_run_has_no_spread(tiny: Tiny) -> None:
    assert measure(open_target(ROW), tiny.path, height=8, width=8, runs=1).spread_ms is None


def test_a_build_that_cannot_run_has_a_status_and_no_figures(foreign: Path) -> None:
    result = measure(open_target(ROW), foreign, height=8, width=8)
    assert result.status.startswith(f"unavailable: {foreign}: Unheard")
    assert result.latency_ms is None and result.peak_memory_mb is None
