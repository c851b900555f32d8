"""Arm's compiler on our .tflite: what of it the NPU takes."""

import json
from pathlib import Path

import pytest
from tiny_qdq import write_edsr

from edsr_int8.__main__ import main
from edsr_int8.targets.base import open_target
from edsr_int8.targets.litert.vela import ACCELERATORS
from edsr_int8.targets.row import TargetRow

pytest.importorskip("ai_edge_litert", reason="needs the extra litert")
pytest.importorskip("ethosu.vela", reason="needs the extra vela")


def test_the_command_bundle_writes_the_same(tmp_path: Path) -> None:
    write_edsr(tmp_path / "model.onnx")
    given = [str(tmp_path / "model.onnx"), str(tmp_path / "out"), "--target", "litert"]
    assert main(["bundle", *given, "--height", "24", "--width", "32"]) == 0
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"model.tflite", "vela.json", *(f"{name}.tflite" for name in ACCELERATORS)}


def test_every_operation_runs_on_the_npu(tmp_path: Path) -> None:
    write_edsr(tmp_path / "model.onnx")
    open_target(TargetRow("litert", tile=(24, 32))).compile(tmp_path / "model.onnx", tmp_path / "device")
    reports = json.loads((tmp_path / "device/vela.json").read_text())
    assert sorted(reports) == ["ethos-u55-256", "ethos-u65-512", "ethos-u85-256"]
    for name, report in reports.items():
        assert report["convolutions_on_npu"] == report["convolutions"] >= 7  # Vela may split one
        assert report["operators_on_npu"] == report["operators"] and not report["on_cpu"]
        assert report["cycles"] > 0 and report["sram_kib"] > 0
        assert (tmp_path / f"device/{name}.tflite").stat().st_size > 0
