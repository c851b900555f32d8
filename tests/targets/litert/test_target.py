"""The .tflite of a build, run by LiteRT's own interpreter, against the build on other runtimes."""

from pathlib import Path

import numpy as np
import pytest
from onnx import helper
from tiny_build import photograph, save
from tiny_qdq import FEATURES, Qdq, write_edsr

from edsr_int8.errors import InputError
from edsr_int8.targets.base import Unavailable, open_target
from edsr_int8.targets.execution.upscale import open_build
from edsr_int8.targets.row import TargetRow

pytest.importorskip("ai_edge_litert", reason="needs the extra litert")


def run(model: Path, image: np.ndarray, **row: object) -> np.ndarray:
    target = open_target(TargetRow(**{"runtime": "litert", "threads": 1, **row}))
    return open_build(target, model)(image).astype(int)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_rule_tflite_is_that_of_the_reference_kernels(seed: int, tmp_path: Path) -> None:
    """Every operation of EDSR, on the same codes and scales: none was quantized anew."""
    model = tmp_path / "model.onnx"
    write_edsr(model, seed)
    image = photograph(40, 50)
    theirs = run(model, image, provider="reference")
    assert np.array_equal(run(model, image, runtime="integer", rounding="tflite"), theirs)
    assert len(np.unique(theirs)) > 100  # a picture, not a saturated plane
    assert np.mean(run(model, image, runtime="integer") == theirs) < 0.95


def test_xnnpack_rounds_as_onnxruntime_nearly_everywhere(tmp_path: Path) -> None:
    write_edsr(tmp_path / "model.onnx")
    ours, theirs = (
        run(tmp_path / "model.onnx", photograph(40, 50), runtime=name) for name in ("litert", "onnxruntime")
    )
    assert np.mean(ours == theirs) > 0.99 and np.abs(ours - theirs).max() <= 1


@pytest.mark.parametrize("kernels", ["xnnpack", "reference"])
def test_a_tile_of_one_shape_gives_the_picture_of_any_shape(kernels: str, tmp_path: Path) -> None:
    """There the shuffle is RESHAPE and TRANSPOSE, here DEPTH_TO_SPACE."""
    write_edsr(tmp_path / "model.onnx")
    image = photograph(40, 50)
    tiled, whole = (
        run(tmp_path / "model.onnx", image, provider=kernels, tile=tile) for tile in ((24, 32), None)
    )
    assert np.array_equal(tiled, whole)


def test_images_of_several_shapes_run_one_after_the_other(tmp_path: Path) -> None:
    write_edsr(tmp_path / "model.onnx")
    upscale = open_build(open_target(TargetRow("litert", threads=1)), tmp_path / "model.onnx")
    first = upscale(photograph(20, 30))
    upscale(photograph(31, 17))
    assert np.array_equal(upscale(photograph(20, 30)), first)


def test_channels_follow_two_shuffles_in_a_row(tmp_path: Path) -> None:
    graph = Qdq(4)
    wide = graph.conv("image", "wide", 3, 3 * 16, 1.0, 0)
    graph.shuffle(graph.shuffle(wide, "half"), "output")
    model = tmp_path / "model.onnx"
    save(model, graph.nodes, graph.constants, scale=4, radius=1)
    image = photograph(20, 30)
    ours = run(model, image, provider="reference")
    assert np.array_equal(ours, run(model, image, runtime="integer", rounding="tflite"))


def write_mixed(path: Path) -> None:
    """A convolution in float, with a Relu, between two in int8; then a shuffle in float."""
    graph = Qdq(5)
    head = graph.real(graph.conv("image", "head", 3, FEATURES, 1.3, 121))
    random = np.random.default_rng(0)
    for name, shape in (("inner", (FEATURES, FEATURES, 3, 3)), ("last", (12, FEATURES, 3, 3))):
        graph.constant(f"{name}.weight", random.normal(0, 0.1, shape), np.float32)
        graph.constant(f"{name}.bias", random.normal(40, 9, shape[0]), np.float32)
    inputs = [head, "inner.weight", "inner.bias"]
    inner = graph.node("Relu", [graph.node("Conv", inputs, "inner", pads=[1] * 4)], "inner.relu")
    total = graph.quantize(graph.node("Add", [inner, head], "sum"), "trunk", 2.0, 100)
    last = graph.node("Conv", [graph.real(total), "last.weight", "last.bias"], "last", pads=[1] * 4)
    moved = graph.node("DepthToSpace", [last], "moved", blocksize=2, mode="CRD")
    graph.quantize(moved, "output", 1.0, 0)
    save(path, graph.nodes, graph.constants, scale=2, radius=3)


@pytest.mark.parametrize("tile", [None, (20, 30)])
def test_high_precision_layers_run_in_float(tile: tuple[int, int] | None, tmp_path: Path) -> None:
    write_mixed(tmp_path / "model.onnx")
    image = photograph(20, 30)
    ours = run(tmp_path / "model.onnx", image, tile=tile)
    theirs = run(tmp_path / "model.onnx", image, runtime="onnxruntime")
    assert np.abs(ours - theirs).max() <= 1 and np.mean(ours == theirs) > 0.99
    assert len(np.unique(ours)) > 100


@pytest.mark.parametrize("kernels", ["xnnpack", "reference"])
def test_it_tells_which_convolutions_ran_in_integers(kernels: str, tmp_path: Path) -> None:
    write_edsr(tmp_path / "int8.onnx", blocks=1)
    write_mixed(tmp_path / "mixed.onnx")
    target = open_target(TargetRow("litert", threads=1, provider=kernels))
    found = target.placement(tmp_path / "int8.onnx", height=16, width=24)
    assert (found.int8_convolutions, found.float_convolutions, found.int8_mac_share) == (5, 0, 1)
    found = target.placement(tmp_path / "mixed.onnx", height=16, width=24)
    assert (found.int8_convolutions, found.float_convolutions) == (1, 2)


def test_the_file_that_ships_is_the_same_every_time(tmp_path: Path) -> None:
    write_edsr(tmp_path / "model.onnx")
    target = open_target(TargetRow("litert"))
    for name in ("first", "second"):
        target.compile(tmp_path / "model.onnx", tmp_path / name)
    first, second = ((tmp_path / name / "model.tflite").read_bytes() for name in ("first", "second"))
    assert first == second and first[4:8] == b"TFL3"


def test_an_operation_that_it_lacks_is_named(foreign: Path) -> None:
    with pytest.raises(Unavailable, match=r"litert cannot run .*Unheard '': has no form in TensorFlow Lite"):
        open_target(TargetRow("litert")).load(foreign)


def test_a_shuffle_whose_channels_cannot_move_is_named(tmp_path: Path) -> None:
    graph = Qdq(6)
    wide = graph.conv("image", "wide", 3, 12, 1.0, 0)
    moved = graph.shuffle(graph.add(wide, wide, "twice", 2.0, 0), "moved")
    graph.conv(moved, "output", 3, 3, 1.0, 0)
    save(tmp_path / "model.onnx", graph.nodes, graph.constants, scale=2, radius=2)
    with pytest.raises(Unavailable, match=r"twice: is shuffled, and comes from no convolution"):
        open_target(TargetRow("litert")).load(tmp_path / "model.onnx")


def test_an_image_without_a_scale_is_named(tmp_path: Path) -> None:
    graph = Qdq(6)
    graph.node("Concat", ["image"], "output", axis=1)
    save(tmp_path / "model.onnx", graph.nodes, graph.constants, scale=1, radius=0)
    with pytest.raises(Unavailable, match=r"litert cannot run .*: Concat 'output': cannot read 'image'"):
        open_target(TargetRow("litert")).load(tmp_path / "model.onnx")


def test_codes_of_another_width_are_named(tmp_path: Path) -> None:
    graph = Qdq(7)
    graph.constant("grid.scale", 1.0, np.float32)
    graph.constant("grid.zero", 0, np.uint16)
    inputs = [graph.real("image"), "grid.scale", "grid.zero"]
    graph.nodes.append(helper.make_node("QuantizeLinear", inputs, ["wide"], "wide"))
    graph.nodes.append(helper.make_node("DequantizeLinear", ["wide", *inputs[1:]], ["real"], "real"))
    graph.quantize("real", "output", 1.0, 0)
    save(tmp_path / "model.onnx", graph.nodes, graph.constants, scale=1, radius=0)
    with pytest.raises(Unavailable, match=r"QuantizeLinear 'wide': has uint16 codes"):
        open_target(TargetRow("litert")).load(tmp_path / "model.onnx")


def test_unknown_kernels_are_refused_with_those_known() -> None:
    with pytest.raises(InputError, match=r"'gpu'; it has xnnpack, optimized, reference"):
        open_target(TargetRow("litert", provider="gpu")).probe()


def test_a_missing_package_comes_with_the_remedy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    write_edsr(tmp_path / "model.onnx")
    monkeypatch.setitem(__import__("sys").modules, "ai_edge_litert", None)
    monkeypatch.delitem(__import__("sys").modules, "edsr_int8.targets.litert.flatbuffer", raising=False)
    with pytest.raises(Unavailable, match=r"pip install 'edsr-int8\[litert\]'"):
        open_target(TargetRow("litert")).load(tmp_path / "model.onnx")
