"""The integer reference against the runtimes that it stands for, and what it refuses."""

from pathlib import Path

import numpy as np
import pytest
from needs import need_openvino_int8
from onnx import helper
from tiny_build import Tiny, photograph, save
from tiny_qdq import FEATURES, Qdq, write_block, write_edsr

from edsr_int8.checkpoints.convert import convert, load_network
from edsr_int8.cluster.in_process import InProcess
from edsr_int8.data.images import read_rgb
from edsr_int8.errors import InputError
from edsr_int8.export import float_graph
from edsr_int8.models.description import Description
from edsr_int8.onnx_file import write_onnx
from edsr_int8.quantization.calibration.observe import observe
from edsr_int8.quantization.passes import Calibration
from edsr_int8.quantization.passes import run as run_passes
from edsr_int8.quantization.quantize import quantize
from edsr_int8.quantization.recipe import MODEL_CARD, Statistics
from edsr_int8.targets.base import Unavailable, open_target
from edsr_int8.targets.row import Rounding, TargetRow
from edsr_int8.tiling import apply_tiled


def run(runtime: str, model: Path, image: np.ndarray, rounding: Rounding = "") -> np.ndarray:
    if runtime == "openvino":
        need_openvino_int8()
    target = open_target(TargetRow(runtime, threads=1, memory_budget_mb=1024, rounding=rounding))
    return target.load(model)(image).astype(int)


def image(height: int = 60, width: int = 70) -> np.ndarray:
    return np.ascontiguousarray(photograph(height, width).transpose(2, 0, 1)[None])


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_equals_onnxruntime_to_the_bit(seed: int, tmp_path: Path) -> None:
    write_edsr(tmp_path / "model.onnx", seed)
    ours, theirs = (run(runtime, tmp_path / "model.onnx", image()) for runtime in ("integer", "onnxruntime"))
    assert np.array_equal(ours, theirs)
    assert len(np.unique(ours)) > 100  # a picture, not a saturated plane


def test_fused_is_what_openvino_rounds(tmp_path: Path) -> None:
    """In one block: over many, the few values that round differently spread, as in any network."""
    write_block(tmp_path / "model.onnx")
    theirs = run("openvino", tmp_path / "model.onnx", image())
    fused, separate = (run("integer", tmp_path / "model.onnx", image(), rule) for rule in ("fused", ""))
    assert np.mean(fused == theirs) > 0.999
    assert np.mean(separate == theirs) < 0.95


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_fused_leaves_a_sum_whose_other_term_is_read_again(seed: int, tmp_path: Path) -> None:
    """As in the first block: the long skip reads the head's output later, so nothing may be added to it."""
    write_edsr(tmp_path / "model.onnx", seed, blocks=3)
    theirs = run("openvino", tmp_path / "model.onnx", image())
    fused, separate = (run("integer", tmp_path / "model.onnx", image(), rule) for rule in ("fused", ""))
    assert np.mean(fused == theirs) > 0.99
    assert np.mean(separate == theirs) < 0.95


def test_fused_adds_in_place_once_and_not_by_the_order_of_the_file(tmp_path: Path) -> None:
    """A sum of two convolutions; then a term that a side branch reads, earlier or later in the file."""
    graph = Qdq(1)
    first, second = (graph.conv("image", name, 3, FEATURES, 1.3, 125) for name in ("first", "second"))
    graph.add(first, second, "output", 2.4, 125)
    save(tmp_path / "two.onnx", graph.nodes, graph.constants, channels=FEATURES, scale=1, radius=1)
    assert_fused_is_openvino(tmp_path / "two.onnx")
    for order in ("side", "sum"), ("sum", "side"):
        graph = Qdq(2)
        head = graph.conv("image", "head", 3, FEATURES, 1.3, 121)
        branch = graph.conv(head, "branch", FEATURES, FEATURES, 2.1, 127)
        for name in order:
            if name == "sum":
                graph.add(head, branch, "sum", 2.4, 125)
            else:
                graph.conv(head, "side", FEATURES, FEATURES, 2.1, 127)
        graph.add("side", "sum", "output", 3.1, 125)
        save(tmp_path / "side.onnx", graph.nodes, graph.constants, channels=FEATURES, scale=1, radius=3)
        assert_fused_is_openvino(tmp_path / "side.onnx")


def assert_fused_is_openvino(model: Path) -> None:
    theirs = run("openvino", model, image())
    fused, separate = (run("integer", model, image(), rule) for rule in ("fused", ""))
    assert np.mean(fused == theirs) > 0.98
    assert np.mean(separate == theirs) < 0.95


def test_a_graph_may_read_its_output_again(tmp_path: Path) -> None:
    graph = Qdq(0)
    graph.conv("image", "output", 3, 3, 1.0, 0)
    graph.conv("output", "unused", 3, 3, 1.0, 0)
    save(tmp_path / "model.onnx", graph.nodes, graph.constants, scale=1, radius=1)
    ours, theirs = (run(runtime, tmp_path / "model.onnx", image()) for runtime in ("integer", "onnxruntime"))
    assert np.array_equal(ours, theirs)


def test_fixed_point_differs_by_one_code_at_most_and_rarely(tmp_path: Path) -> None:
    write_block(tmp_path / "model.onnx")
    fixed, real = (run("integer", tmp_path / "model.onnx", image(), rule) for rule in ("fixed_point", ""))
    assert np.abs(fixed - real).max() <= 1
    assert np.mean(fixed == real) > 0.999


@pytest.mark.parametrize("rule", ["", "fused", "fixed_point+fused"])
def test_tiles_equal_the_untiled_picture(rule: Rounding, tmp_path: Path) -> None:
    write_edsr(tmp_path / "model.onnx")
    target = open_target(TargetRow("integer", threads=1, memory_budget_mb=1024, rounding=rule))
    runner = target.load(tmp_path / "model.onnx")
    tiled = apply_tiled(runner, image(40, 50), scale=2, radius=7, tile=(25, 30))
    assert np.array_equal(tiled, runner(image(40, 50)))


def test_a_float_operation_is_named(tiny: Tiny) -> None:
    with pytest.raises(
        Unavailable, match=r"integer cannot run .*: Cast '': is no operation of an int8 accelerator"
    ):
        open_target(TargetRow("integer", threads=1, memory_budget_mb=1024)).load(tiny.path)


def test_a_bias_in_other_steps_is_named(tmp_path: Path) -> None:
    constants = {
        "one": np.float32(1),
        "half": np.float32(0.5),
        "zero": np.uint8(0),
        "w": np.ones((3, 3, 1, 1), np.int8),
        "b": np.ones(3, np.int32),
    }
    nodes = [
        helper.make_node("DequantizeLinear", ["image", "one", "zero"], ["x"]),
        helper.make_node("DequantizeLinear", ["w", "one"], ["weight"]),
        helper.make_node("DequantizeLinear", ["b", "half"], ["bias"]),
        helper.make_node("Conv", ["x", "weight", "bias"], ["y"], "layer"),
        helper.make_node("QuantizeLinear", ["y", "one", "zero"], ["output"]),
    ]
    save(tmp_path / "model.onnx", nodes, constants, scale=1)
    with pytest.raises(Unavailable, match=r"Conv 'layer': its bias is not in steps"):
        open_target(TargetRow("integer", threads=1, memory_budget_mb=1024)).load(tmp_path / "model.onnx")


def test_an_unknown_rule_is_refused_with_those_known() -> None:
    with pytest.raises(InputError, match=r"rounding: .bankers. is unknown; known are .*fixed_point"):
        open_target(TargetRow("integer", 1, 1024, rounding="bankers")).probe()


def test_a_real_network_equals_onnxruntime(shared: Path, tmp_path: Path) -> None:
    """Trained weights and calibrated ranges: deep enough for another rounding to show on most pixels."""
    description = Description("edsr", 32, 5, 2, 1.0, "direct")
    convert(shared / "weights/edsr_mobile_f32b5x2.pt", "official", description, tmp_path / "network")
    write_onnx(float_graph(*load_network(tmp_path / "network")), tmp_path / "float.onnx")
    folder = shared / "data/Set5/LR_bicubic/X2"
    observe(
        tmp_path / "float.onnx", [folder / "birdx2.png"], tmp_path / "histograms.npz", executor=InProcess(1)
    )
    calibration = Calibration(
        float_model=tmp_path / "float.onnx",
        images=[],
        histograms=tmp_path / "histograms.npz",
        losses=tmp_path / "none",
        gptq_weights=tmp_path / "none",
        statistics=Statistics(),
    )
    quantize(run_passes(MODEL_CARD, calibration), MODEL_CARD, tmp_path)
    for name in ("butterflyx2.png", "womanx2.png"):
        pixels = np.ascontiguousarray(read_rgb(folder / name).transpose(2, 0, 1)[None])
        ours, theirs = (
            run(runtime, tmp_path / "model.onnx", pixels) for runtime in ("integer", "onnxruntime")
        )
        difference = np.abs(ours - theirs).max(axis=1)
        assert np.mean(difference == 0) >= 0.999 and difference.max() <= 2
