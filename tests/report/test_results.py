"""What stages wrote is read back as typed values; a damaged file is one line that names it."""

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from tiny_results import timed

from edsr_int8.errors import InputError
from edsr_int8.files import write_json
from edsr_int8.quantization.analysis.curves import write_curve
from edsr_int8.quantization.analysis.losses import Loss, write_losses
from edsr_int8.quantization.calibration.counting import count
from edsr_int8.quantization.calibration.histogram import save
from edsr_int8.report.analysis import SHOWN, Analysis, read_analysis
from edsr_int8.report.results import Conformance, read_conformance, read_timing

DAMAGED = [b"", b"[1]", b'{"status": "ok"}', b"\xff\xfe"]


def test_a_timing_reads_back(tmp_path: Path) -> None:
    timing = timed(50.0)
    write_json(tmp_path / "timing.json", asdict(timing))
    assert read_timing(tmp_path / "timing.json") == timing


@pytest.mark.parametrize("content", DAMAGED)
def test_a_damaged_timing_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "timing.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=f"^{path}: "):
        read_timing(path)


def test_the_conformance_of_one_target_reads_back(tmp_path: Path) -> None:
    path = tmp_path / "int8.json"
    write_json(path, {"openvino": {"evaluation/photos": {"equal_share": 0.5, "max_difference": 3}}})
    assert read_conformance(path, "openvino") == {"evaluation/photos": Conformance(0.5, 3)}
    assert read_conformance(path, "integer") == {}


@pytest.mark.parametrize("content", [b"[1]", b'{"openvino": 3}', b'{"openvino": {"photos": {}}}'])
def test_a_damaged_comparison_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "int8.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=f"^{path}: "):
        read_conformance(path, "openvino")


def write_analysis(folder: Path) -> Analysis:
    tensors = [Loss(f"conv{i}", "tensor", float(i)) for i in range(SHOWN + 2)]
    write_losses(folder / "losses.csv", tensors)
    counted = {loss.name: count(np.ones(3, np.float32)) for loss in tensors}
    save(folder / "histograms.npz", counted, weights_sha256="0" * 64)
    write_curve(folder / "curve.csv", [])
    write_json(folder / "coverage.json", {"conv1": 0.25})
    return read(folder)


def read(folder: Path) -> Analysis:
    names = ("losses.csv", "histograms.npz", "coverage.json")
    return read_analysis(*(folder / name for name in names), {"int8": folder / "curve.csv"})


def test_histograms_are_kept_of_the_tensors_that_cost_most(tmp_path: Path) -> None:
    assert list(write_analysis(tmp_path).histograms) == [f"conv{i}" for i in range(SHOWN + 1, 1, -1)]


def test_what_no_row_needs_is_empty_and_no_error(tmp_path: Path) -> None:
    write_analysis(tmp_path)
    write_losses(tmp_path / "losses.csv", [])
    (tmp_path / "histograms.npz").write_bytes(b"")
    (tmp_path / "curve.csv").write_bytes(b"")
    assert read(tmp_path) == Analysis([], {}, {"conv1": 0.25}, {})


@pytest.mark.parametrize("name", ["losses.csv", "histograms.npz", "coverage.json", "curve.csv"])
def test_a_file_cut_short_is_named(tmp_path: Path, name: str) -> None:
    write_analysis(tmp_path)
    content = {"losses.csv": b"name,kind,alone_mse\nconv0,tensor\n", "curve.csv": b"step,held_out_mse\n1,2\n"}
    (tmp_path / name).write_bytes(content.get(name, (tmp_path / name).read_bytes()[:10]))
    with pytest.raises(InputError, match=f"^{tmp_path / name}: "):
        read(tmp_path)
