"""What each runtime made of a build, beside what the build holds, counted by hand."""

from pathlib import Path

import onnx
import pytest
from needs import need_openvino_int8
from tiny_build import Tiny
from tiny_qdq import FEATURES, write_edsr

from edsr_int8.onnx_file import read_onnx
from edsr_int8.targets.base import open_target
from edsr_int8.targets.figures import Placement
from edsr_int8.targets.placement import all_convolutions, conv_macs, placement
from edsr_int8.targets.row import TargetRow

# Of write_edsr with one block: head, two in the block, the one that widens, the last on 4 times the pixels.
MACS = 9 * (4 * FEATURES + 2 * FEATURES**2 + 4 * FEATURES**2 + 4 * 3 * FEATURES)


@pytest.fixture
def int8(tmp_path: Path) -> Path:
    write_edsr(tmp_path / "int8.onnx", blocks=1)
    return tmp_path / "int8.onnx"


def placed(runtime: str, model: Path) -> Placement:
    return open_target(TargetRow(runtime, threads=1)).placement(model, height=16, width=24)


def test_macs_count_every_pixel_of_the_output(int8: Path) -> None:
    assert sum(conv_macs(onnx.load(int8).graph).values()) == MACS


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino", "integer"])
def test_a_strict_int8_build_runs_in_integers_alone(runtime: str, int8: Path) -> None:
    if runtime == "openvino":
        need_openvino_int8()
    found = placed(runtime, int8)
    assert (found.int8_convolutions, found.int16_convolutions, found.float_convolutions) == (5, 0, 0)
    assert (found.int8_mac_share, found.int16_mac_share, found.partitions) == (1, 0, 1)


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino", "torch"])
def test_a_float_build_runs_in_float(runtime: str, tiny: Tiny) -> None:
    if runtime == "openvino":
        pytest.importorskip("openvino")
    model = read_onnx(tiny.path)
    for i, node in enumerate(model.graph.node):
        node.name = f"node{i}"
    named = tiny.path.with_name("named.onnx")
    named.write_bytes(model.SerializeToString())
    found = placed(runtime, named)
    assert (found.int8_convolutions, found.float_convolutions, found.int8_mac_share) == (0, 2, 0)


def test_onnxruntime_tells_of_the_convolution_that_it_left_in_float(int8: Path) -> None:
    model = read_onnx(int8)
    last = next(node for node in model.graph.node if node.output[0] == "output.linear")
    after = next(node for node in model.graph.node if "output.linear" in node.input)
    after.input[0] = "output.rounded"  # an operation between the two, so that they do not fuse
    place = list(model.graph.node).index(after)
    model.graph.node.insert(
        place, onnx.helper.make_node("Round", last.output, ["output.rounded"], "output.rounded")
    )
    int8.write_bytes(model.SerializeToString())
    found = placed("onnxruntime", int8)
    assert (found.int8_convolutions, found.float_convolutions) == (4, 1)
    assert found.int8_mac_share == pytest.approx(1 - 9 * 12 * FEATURES / MACS)


def test_a_runtime_that_does_not_tell_of_all_gets_no_figures(int8: Path) -> None:
    graph = onnx.load(int8).graph
    kinds = all_convolutions(graph, "int8")
    del kinds["head.linear"]
    assert placement(graph, kinds, partitions=2) == Placement(partitions=2)
