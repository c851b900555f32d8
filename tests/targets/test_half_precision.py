"""Builds in 16-bit floats: half the bytes, near the float32 images, run only where they are computed so."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import ModelProto, TensorProto, helper, numpy_helper
from tiny_build import photograph

from edsr_int8.onnx_graph import uint8_graph
from edsr_int8.quantization.half_precision import write_half_precision
from edsr_int8.targets.base import Runner, Unavailable, open_target
from edsr_int8.targets.execution.build import read_build
from edsr_int8.targets.execution.upscale import open_build, require
from edsr_int8.targets.graph import dtype
from edsr_int8.targets.onnx_interpreter import Interpreter
from edsr_int8.targets.row import TargetRow
from edsr_int8.targets.runtimes.torch import HALF_PRECISION, in_type

DTYPES = pytest.mark.parametrize("kind", ["float16", "bfloat16"])


def network() -> ModelProto:
    """x2 with 16 features: Conv, Relu, Conv, PixelShuffle, Conv, about an average of its input."""
    random = np.random.default_rng(0)
    shapes = {"a": (16, 3, 3, 3), "b": (64, 16, 3, 3), "c": (3, 16, 3, 3)}
    weights = {n: np.abs(random.normal(1, 0.3, s)) / np.prod(s[1:]) for n, s in shapes.items()}
    nodes = [
        helper.make_node("Conv", ["image", "a"], ["a.linear"], "a.conv", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["a.linear"], ["relu"], "relu"),
        helper.make_node("Conv", ["relu", "b"], ["b.linear"], "b.conv", pads=[1, 1, 1, 1]),
        helper.make_node("DepthToSpace", ["b.linear"], ["d"], "shuffle", blocksize=2, mode="CRD"),
        helper.make_node("Conv", ["d", "c"], ["output"], "last", pads=[1, 1, 1, 1]),
    ]
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3, *lengths])
        for name, lengths in (("image", ("height", "width")), ("output", ("2*height", "2*width")))
    ]
    tensors = [numpy_helper.from_array(v.astype(np.float32), name) for name, v in weights.items()]
    graph = helper.make_graph(nodes, "float", ends[:1], ends[1:], tensors)
    return uint8_graph(helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 18)]))


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("float") / "uint8.onnx"
    onnx.save(network(), path)
    return path


def output(run: Runner) -> np.ndarray:
    return run(np.ascontiguousarray(photograph(40, 52).transpose(2, 0, 1)[None])).astype(float)


@DTYPES
def test_weights_take_half_the_bytes_and_the_graph_stays_whole(
    kind: str, build: Path, tmp_path: Path
) -> None:
    write_half_precision(build, kind, tmp_path / "half.onnx")
    half = onnx.load(tmp_path / "half.onnx")
    bytes_of = [sum(len(t.raw_data) for t in m.graph.initializer) for m in (half, onnx.load(build))]
    assert bytes_of[0] == pytest.approx(bytes_of[1] / 2, rel=0.01)
    assert dtype(half) == kind
    run = open_target(TargetRow("onnxruntime", threads=1)).load(tmp_path / "half.onnx")
    full = open_target(TargetRow("onnxruntime", threads=1)).load(build)
    assert np.abs(output(run) - output(full)).max() <= 1


@DTYPES
def test_torch_computes_every_value_in_the_type(kind: str, build: Path, tmp_path: Path) -> None:
    write_half_precision(build, kind, tmp_path / "half.onnx")
    seen = set()
    wanted = HALF_PRECISION[kind]

    def run_node(node, options, inputs):  # type: ignore[no-untyped-def]
        value = in_type(wanted)(node, options, inputs)
        seen.add(value.dtype)
        return value

    found = output(Interpreter(onnx.load(tmp_path / "half.onnx").graph, run_node))
    full = output(Interpreter(onnx.load(build).graph, in_type(torch.float32)))
    assert seen == {wanted, torch.uint8}
    assert 0 < np.abs(found - full).mean() < 0.5


def test_openvino_computes_bfloat16_where_the_cpu_has_it(build: Path, tmp_path: Path) -> None:
    openvino = pytest.importorskip("openvino")
    write_half_precision(build, "bfloat16", tmp_path / "half.onnx")
    target = open_target(TargetRow("openvino", threads=1))
    if "BF16" not in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        with pytest.raises(Unavailable, match=r"openvino's CPU does not compute in bfloat16 here"):
            require(target, "bfloat16")
        return
    found, full = (output(target.load(path)) for path in (tmp_path / "half.onnx", build))
    assert 0 < np.abs(found - full).mean() < 0.5


@pytest.mark.parametrize(
    ("runtime", "kind", "why"),
    [
        ("onnxruntime", "float16", "would compute it in float32"),
        ("tensorrt", "float16", "nobody has tried builds in 16-bit floats on TensorrtExecutionProvider"),
        ("torch", "bfloat16", r"computes in bfloat16 on CUDA; this row runs on cpu"),
        ("integer", "float16", "integer runs int8 builds, not float16"),
        ("vacc", "float16", "PixelShuffle crashes the accelerator in fp16"),
    ],
)
def test_elsewhere_the_build_is_unavailable_with_the_reason(
    runtime: str, kind: str, why: str, build: Path, tmp_path: Path
) -> None:
    write_half_precision(build, kind, tmp_path / "half.onnx")
    provider = "cpu" if runtime == "torch" else ""
    with pytest.raises(Unavailable, match=why):
        open_build(open_target(TargetRow(runtime, provider=provider)), tmp_path / "half.onnx")


def test_a_build_in_halves_is_cut_and_tiled_as_in_float32(build: Path, tmp_path: Path) -> None:
    write_half_precision(build, "float16", tmp_path / "half.onnx")
    found, full = read_build(tmp_path / "half.onnx"), read_build(build)
    assert found.whole == full.whole and found.subgraphs == full.subgraphs and len(found.subgraphs) == 2
