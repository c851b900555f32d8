"""benchmarks/gpu.py on the CPU, with networks of a few channels: it runs, and runs repeat."""

import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
from skimage import data

from edsr_int8.data.images import write_png

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"


def test_every_figure_is_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for i, top in enumerate((20, 100)):
        part = data.astronaut()[top : top + 100, 160:260]
        write_png(tmp_path / "photographs" / f"{i}.png", np.ascontiguousarray(part))
    arguments = ["gpu.py", "--photographs", str(tmp_path / "photographs"), "--device", "cpu", "--tiny"]
    monkeypatch.setattr(sys, "argv", arguments)
    monkeypatch.syspath_prepend(BENCHMARKS)
    runpy.run_path(str(BENCHMARKS / "gpu.py"), run_name="__main__")
    printed = capsys.readouterr().out
    assert printed.count(" steps a second") == 2 and printed.count(" s  in all") == 2
    assert "equal weights" in printed and "equal networks" in printed and "UNEQUAL" not in printed
