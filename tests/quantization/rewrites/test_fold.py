"""Folding constants, against the graph that it starts from, run by ONNX's reference implementation."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto, numpy_helper
from onnx.reference import ReferenceEvaluator
from reference import by_onnxruntime, in_float32, nchw, output

from edsr_int8.errors import InputError
from edsr_int8.onnx_file import read_onnx
from edsr_int8.quantization.ir.layers import IMAGE, Add, Conv, PixelShuffle
from edsr_int8.quantization.ir.read_onnx import read_network
from edsr_int8.quantization.rewrites.fold import fold

FLOAT64_TOLERANCE = 1e-9  # grey levels
FLOAT32_TOLERANCE = 1e-3


def in_float64(model: ModelProto) -> ModelProto:
    """The same graph with all its float32 tensors in float64."""
    for weight in model.graph.initializer:
        if weight.data_type == TensorProto.FLOAT:
            wide = numpy_helper.to_array(weight).astype(np.float64)
            weight.CopyFrom(numpy_helper.from_array(wide, weight.name))
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.elem_type = TensorProto.DOUBLE
    return model


def largest_difference(path: Path, image: np.ndarray) -> float:
    """Between the graph in `path` and its folded form, both in float64, on every pixel."""
    feed = {IMAGE: nchw(image, np.float64)}
    before = ReferenceEvaluator(in_float64(onnx.load(path))).run(None, feed)[0]
    after = output(fold(read_network(path)), image)
    assert before.shape == after.shape
    assert before.std() > 1e-3  # it is a picture, not zero everywhere
    return float(np.abs(before - after).max())


@pytest.mark.parametrize("name", ["x1", "x4", "direct", "mdsr"])
def test_output_stays(float_graphs: Callable[[str], Path], portrait: np.ndarray, name: str) -> None:
    assert largest_difference(float_graphs(name), portrait[60:76, 40:53]) < FLOAT64_TOLERANCE


def test_output_of_a_real_network_stays(real_graphs: Callable[[str], Path], portrait: np.ndarray) -> None:
    assert largest_difference(real_graphs("r8f64"), portrait[60:72, 40:49]) < FLOAT64_TOLERANCE


@pytest.mark.parametrize("name", ["x1", "x4", "direct", "mdsr"])
def test_only_layers_that_int8_runs_are_left(float_graphs: Callable[[str], Path], name: str) -> None:
    first, *rest = fold(read_network(float_graphs(name))).layers
    assert all(isinstance(layer, Conv | Add | PixelShuffle) for layer in rest)
    assert isinstance(first, Conv) == (name == "direct")  # which has no mean, so needs no plane


def test_output_stays_in_float32(float_graphs: Callable[[str], Path], portrait: np.ndarray) -> None:
    path, image = float_graphs("x4"), portrait[:64, :48]
    difference = by_onnxruntime(path, image) - in_float32(fold(read_network(path)), image)
    assert np.abs(difference).max() < FLOAT32_TOLERANCE


def test_constant_with_no_convolution_before_it_is_refused(
    float_graphs: Callable[[str], Path], tmp_path: Path
) -> None:
    model = read_onnx(float_graphs("x4"))
    nodes = {node.name: node for node in model.graph.node}
    nodes["body_end.add"].input[0] = "mean"
    nodes["upsample.0"].input[0] = "body_end"  # a second consumer: the mean cannot go into body_end
    onnx.save(model, tmp_path / "m.onnx")
    with pytest.raises(InputError, match=r"body_end\.add: its constant has no convolution to go into"):
        fold(read_network(tmp_path / "m.onnx"))
