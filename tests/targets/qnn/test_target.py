"""Qualcomm's own simulator of the HTP, on a small graph of every operation that EDSR has."""

import json
import platform
from pathlib import Path

import numpy as np
import pytest
from tiny_build import photograph
from tiny_qdq import write_edsr

from edsr_int8.data.images import write_png
from edsr_int8.errors import InputError
from edsr_int8.machine import X86_64
from edsr_int8.targets.base import Unavailable, open_target
from edsr_int8.targets.execution.infer import infer
from edsr_int8.targets.execution.timing import measure
from edsr_int8.targets.execution.upscale import open_build
from edsr_int8.targets.row import TargetRow

pytest.importorskip("onnxruntime_qnn", reason="needs the extra qnn")
if platform.machine() not in X86_64:
    pytest.skip("the simulator is for x86-64", allow_module_level=True)
TILE = (24, 24)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    write_edsr(tmp_path / "model.onnx", blocks=1)
    return tmp_path / "model.onnx"


def test_the_picture_is_nearly_exact_and_the_same_in_tiles(model: Path) -> None:
    """Their rounding is not ours: at most two grey levels, in a network without training."""
    image = photograph(30, 24)
    theirs = open_build(open_target(TargetRow("qnn", tile=TILE)), model)(image).astype(int)
    whole = open_build(open_target(TargetRow("qnn", tile=(30, 24))), model)(image).astype(int)
    ours = open_build(open_target(TargetRow("integer", threads=1)), model)(image)
    assert np.array_equal(theirs, whole)
    assert np.abs(theirs - ours).max() <= 2 and np.mean(theirs == ours) > 0.5


def test_all_of_it_runs_in_integers_as_one_partition(model: Path) -> None:
    found = open_target(TargetRow("qnn", tile=TILE)).placement(model, height=1, width=1)
    assert (found.int8_convolutions, found.int16_convolutions, found.float_convolutions) == (5, 0, 0)
    assert (found.partitions, found.cpu_nodes, found.int8_mac_share) == (1, 0, 1)


def test_it_says_how_long_and_leaves_what_goes_onto_the_device_the_same_every_time(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = open_target(TargetRow("qnn", tile=TILE))
    write_png(tmp_path / "set/lr/a.png", photograph(30, 24))
    infer(target, model, {"set": tmp_path / "set"}, tmp_path / "out", partial=tmp_path / "partial")
    assert json.loads((tmp_path / "out/status.json").read_text()) == {"status": "ok"}
    assert "qnn: simulates 2 tiles, about 1 min" in capsys.readouterr().err
    target.compile(model, tmp_path / "again")
    first, second = (
        {p.name: p.read_bytes() for p in (tmp_path / n).iterdir()} for n in ("out/device", "again")
    )
    assert first == second and len(first) == 12
    assert {f"v{number}.onnx" for number in (68, 69, 73, 75, 79, 81)} <= first.keys()


def test_a_simulator_has_a_placement_and_no_speed(model: Path) -> None:
    timing = measure(open_target(TargetRow("qnn", tile=TILE)), model, height=24, width=24)
    assert timing.status.startswith("unavailable: it is simulated") and timing.latency_ms is None
    assert timing.placement.int8_convolutions == 5


def test_a_row_without_a_tile_is_told_to_have_one(model: Path) -> None:
    with pytest.raises(Unavailable, match=r"qnn runs one shape; give its row a tile"):
        open_build(open_target(TargetRow("qnn")), model)


def test_an_unknown_architecture_is_refused_with_those_known() -> None:
    with pytest.raises(InputError, match=r"provider: qnn knows no HTP 'v99'; it has v68, .*v73"):
        open_target(TargetRow("qnn", provider="v99", tile=TILE)).probe()


def test_a_node_that_the_htp_refuses_does_not_run_on_the_cpu(foreign: Path) -> None:
    with pytest.raises(Unavailable, match=r"qnn cannot load .*Unheard"):
        open_target(TargetRow("qnn", tile=TILE)).load(foreign)
