"""The int8 graphs as the runtimes execute them: what lies between two tensors is one integer operation."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from int8_build import build, observed
from needs import need_openvino_int8
from tiny_build import photograph

from edsr_int8.onnx_session import session_options
from edsr_int8.quantization.recipe import MODEL_CARD

BLOCKS = 2
CONVOLUTIONS = 1 + 2 * BLOCKS + 1 + 2 + 1  # head, blocks, body_end, two up-sampling steps, tail


@pytest.fixture(params=[False, True], ids=["long skip", "folded long skip"])
def folded(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture
def model(float_graphs: Callable[[str], Path], folded: bool, tmp_path: Path) -> Path:
    calibration = observed(float_graphs("x4"), tmp_path, photograph(40, 40))
    return build(replace(MODEL_CARD, fold_long_skip=folded), calibration, tmp_path / "int8")


def test_onnxruntime_runs_integer_operations_only(model: Path, folded: bool, tmp_path: Path) -> None:
    options = session_options(threads=1)
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    found = Counter(node.op_type for node in onnx.load(tmp_path / "optimized.onnx").graph.node)
    assert found["QLinearConv"] == CONVOLUTIONS + folded  # the taps are gathered by one
    assert found["QLinearAdd"] == BLOCKS + (not folded)
    assert not found.keys() & {"QuantizeLinear", "DequantizeLinear", "Conv", "Add"}


def test_openvino_runs_convolutions_on_integers_and_adds_in_them(model: Path, folded: bool) -> None:
    need_openvino_int8()
    import openvino

    compiled = openvino.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    compiled.create_infer_request().infer([np.zeros((1, 3, 40, 40), np.uint8)])
    nodes = [node.get_rt_info() for node in compiled.get_runtime_model().get_ordered_ops()]
    kinds = [(info["layerType"].astype(str), info["primitiveType"].astype(str)) for info in nodes]
    convolutions = [primitive for kind, primitive in kinds if kind == "Convolution"]
    assert len(convolutions) == CONVOLUTIONS + folded
    assert all(primitive.endswith("I8") for primitive in convolutions)
    # Where the long skip reads the head's output again, the first block's sum stands alone.
    assert sum(kind == "Eltwise" for kind, _ in kinds) == (not folded)
