"""Rockchip's toolkit in its own Python: what is said without it, and how its words are read.

`RKNN_PYTHON=rknn/bin/python pytest tests/targets/rknn` runs the toolkit itself, too.
"""

import json
import os
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from tiny_build import photograph
from tiny_qdq import write_edsr

from edsr_int8.data.images import write_png
from edsr_int8.targets.base import Unavailable, open_target
from edsr_int8.targets.execution.infer import infer
from edsr_int8.targets.execution.upscale import open_build
from edsr_int8.targets.rknn.target import placed
from edsr_int8.targets.rknn.toolkit import OPERATION, Operation, Toolkit
from edsr_int8.targets.row import TargetRow

TABLE = """\
I rknn building ...
D RKNN: [17:52:27.765] ID   OpType             DataType Target InputShape      OutputShape   FullName
D RKNN: [17:52:27.765] 0    InputOperator      INT8     CPU    \\               (1,3,96,96)   0/0/0   0    InputOperator:image
D RKNN: [17:52:27.765] 1    Conv               INT8     NPU    (1,3,96,96),(3) (1,3,96,96)   7/3/3   27
D RKNN: [17:52:27.765] 3    Conv               INT8     NPU    (1,4,96,96),(3) (1,64,96,96)  3/1/1   153  Conv:head
D RKNN: [17:52:27.765] 6    ConvAdd            FLOAT16  NPU    (1,64,96,96),.. (1,64,96,96)  7/3/3   1188 Conv:conv2_ConvAdd
"""  # noqa: E501


@pytest.fixture
def model(tmp_path: Path) -> Path:
    write_edsr(tmp_path / "model.onnx", blocks=1)
    return tmp_path / "model.onnx"


def test_the_table_that_the_compiler_prints_is_read() -> None:
    found = [
        Operation(*(part or "" for part in m.groups()))
        for m in map(OPERATION.search, TABLE.splitlines())
        if m
    ]
    assert found == [
        Operation("InputOperator", "INT8", "CPU", "image"),
        Operation("Conv", "INT8", "NPU", ""),
        Operation("Conv", "INT8", "NPU", "head"),
        Operation("ConvAdd", "FLOAT16", "NPU", "conv2_ConvAdd"),
    ]


def test_convolutions_are_counted_by_their_type_and_runs_of_the_npu_as_partitions(model: Path) -> None:
    graph = onnx.load(model)
    names = [node.name for node in graph.graph.node if node.op_type == "Conv"]
    operations = [Operation("Conv", "INT8", "NPU", name) for name in names]
    operations[1] = Operation("ConvAdd", "FLOAT16", "NPU", f"{names[1]}_ConvAdd")
    operations.insert(3, Operation("Pad", "INT8", "CPU", "plane"))
    found = placed(graph, [Operation("InputOperator", "INT8", "CPU", "image"), *operations])
    assert (found.int8_convolutions, found.float_convolutions) == (4, 1)
    assert (found.partitions, found.cpu_nodes) == (2, 1)


@pytest.mark.parametrize("python", ["", "nowhere/bin/python", sys.executable])
def test_a_python_without_the_toolkit_comes_with_the_two_commands(python: str, model: Path) -> None:
    target = open_target(TargetRow("rknn", python=python, tile=(24, 24)))
    assert not target.probe()["available"]
    with pytest.raises(Unavailable, match=r"python3.11 -m venv rknn; rknn/bin/pip install rknn-toolkit2"):
        open_build(target, model)


def test_without_the_toolkit_infer_says_so_and_not_how_long_it_would_simulate(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = open_target(TargetRow("rknn", tile=(24, 24)))
    write_png(tmp_path / "set/lr/a.png", photograph(30, 24))
    infer(target, model, {"set": tmp_path / "set"}, tmp_path / "out", partial=tmp_path / "partial")
    assert "rknn/bin/pip install" in json.loads((tmp_path / "out/status.json").read_text())["status"]
    assert "simulates" not in capsys.readouterr().err


def test_a_toolkit_that_fails_is_one_line(model: Path) -> None:
    with pytest.raises(Unavailable, match=r"rknn stopped: .*No module named 'rknn'"):
        Toolkit(sys.executable, onnx.load(model), "rk3588")


def test_16_bits_are_refused_with_the_way_out(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wide = onnx.load(model)
    wide.graph.initializer.append(numpy_helper.from_array(np.zeros((), np.uint16), "wide.zero_point"))
    onnx.save(wide, model)
    monkeypatch.setattr("edsr_int8.targets.rknn.target.version_in", lambda _: "2.5.0")
    with pytest.raises(Unavailable, match=r"has activations of 16 bits, .* high_precision_dtype: float32"):
        open_target(TargetRow("rknn", python="python", tile=(24, 24))).load(model)


@pytest.mark.skipif(
    "RKNN_PYTHON" not in os.environ, reason="needs a Python with rknn-toolkit2 as RKNN_PYTHON"
)
def test_the_toolkit_itself_gives_nearly_the_exact_picture(model: Path, tmp_path: Path) -> None:
    target = open_target(TargetRow("rknn", python=os.environ["RKNN_PYTHON"], tile=(24, 24)))
    image = photograph(30, 24)
    theirs = open_build(target, model)(image).astype(int)
    ours = open_build(open_target(TargetRow("integer", threads=1, rounding="fused")), model)(image)
    assert np.abs(theirs - ours).max() <= 2 and np.mean(theirs == ours) > 0.9
    found = target.placement(model, height=24, width=24)
    assert (found.int8_convolutions, found.float_convolutions, found.cpu_nodes) == (5, 0, 0)
    target.compile(model, tmp_path / "device")
    assert (tmp_path / "device/rk3588.rknn").read_bytes()[:4] == b"RKNN"
