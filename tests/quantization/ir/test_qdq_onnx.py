"""The int8 graph: what runtimes make of it, and its arithmetic against integers in numpy."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from needs import need_openvino_int8
from onnx import ModelProto, TensorProto, helper, numpy_helper
from reference import by_onnxruntime, nchw

from edsr_int8.onnx_session import session_options

Graphs = Callable[[str], Path]
NAMES = ["x1", "x4", "direct", "mdsr"]
INTEGER = {"QLinearConv", "QLinearAdd", "DepthToSpace", "Pad", "Transpose"}


def with_all_tensors(model: ModelProto) -> ModelProto:
    """The graph with every uint8 tensor as an output."""
    shown = {value.name for value in model.graph.output}
    inner = [n.output[0] for n in model.graph.node if n.op_type in ("QuantizeLinear", "DepthToSpace", "Pad")]
    kinds = [helper.make_tensor_value_info(t, TensorProto.UINT8, None) for t in inner if t not in shown]
    model.graph.output.extend(kinds)
    return model


def exact_codes(model: ModelProto, codes: dict[str, np.ndarray]) -> Iterator[tuple[str, np.ndarray]]:
    """Each uint8 tensor before its rounding, in integer arithmetic on the `codes` that its layer reads.

    Products and sums are exact (float64 holds integers to 2^53); one scale is applied at the end.
    """
    constants = {t.name: numpy_helper.to_array(t).astype(np.float64) for t in model.graph.initializer}
    reals: dict[str, tuple[np.ndarray, Any]] = {}  # integers, and what one of them is worth
    for node in model.graph.node:
        name, inputs = node.output[0], node.input
        match node.op_type:
            case "DequantizeLinear" if inputs[0] in codes:
                reals[name] = codes[inputs[0]] - constants[inputs[2]], constants[inputs[1]]
            case "DequantizeLinear":
                assert not constants[inputs[2]].any()  # weights are symmetric
                reals[name] = constants[inputs[0]], constants[inputs[1]]
            case "Conv":
                (x, x_unit), (weight, unit), (bias, _) = (reals[key] for key in inputs)
                terms = (torch.from_numpy(v) for v in (x, weight, bias))
                total = torch.conv2d(*terms, padding=weight.shape[-1] // 2).numpy()
                assert np.abs(total).max() < 2**31
                reals[name] = total, x_unit * unit.reshape(1, -1, 1, 1)
            case "Add":
                (a, a_unit), (b, b_unit) = (reals[key] for key in inputs)
                reals[name] = a * a_unit + b * b_unit, 1.0
            case "QuantizeLinear":
                value, unit = reals[inputs[0]]
                yield name, np.clip(value * unit / constants[inputs[1]] + constants[inputs[2]], 0, 255)
            case "DepthToSpace":
                factor = next(a.i for a in node.attribute if a.name == "blocksize")
                yield name, torch.pixel_shuffle(torch.from_numpy(codes[inputs[0]]), factor).numpy()
            case "Pad":
                widths = constants[inputs[1]].reshape(2, 4).T.astype(int)
                yield name, np.pad(codes[inputs[0]], widths, constant_values=constants[inputs[2]])


@pytest.mark.parametrize("name", NAMES)
def test_graph_is_valid_onnx_between_uint8_images(int8_graphs: Graphs, name: str) -> None:
    model = onnx.load(int8_graphs(name))
    onnx.checker.check_model(model, full_check=True)
    ends = [value.type.tensor_type for value in (*model.graph.input, *model.graph.output)]
    assert [end.elem_type for end in ends] == [TensorProto.UINT8] * 2
    assert [d.dim_param or d.dim_value for d in ends[0].shape.dim] == [1, 3, "height", "width"]


@pytest.mark.parametrize("name", NAMES)
def test_onnxruntime_runs_nothing_in_float(int8_graphs: Graphs, name: str, tmp_path: Path) -> None:
    settings = session_options(threads=1)
    settings.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    ort.InferenceSession(int8_graphs(name), settings)
    written = [node.op_type for node in onnx.load(int8_graphs(name)).graph.node]
    executed = [node.op_type for node in onnx.load(tmp_path / "optimized.onnx").graph.node]
    assert set(executed) <= INTEGER
    assert executed.count("QLinearConv") == written.count("Conv")
    assert executed.count("QLinearAdd") == written.count("Add")


@pytest.mark.parametrize("name", NAMES)
def test_openvino_runs_nothing_in_float(int8_graphs: Graphs, portrait: np.ndarray, name: str) -> None:
    need_openvino_int8()
    import openvino

    config = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
    compiled = openvino.Core().compile_model(int8_graphs(name), "CPU", config)
    facts = [op.get_rt_info() for op in compiled.get_runtime_model().get_ops()]
    layers = [(f["layerType"].value, f["runtimePrecision"].value) for f in facts]
    assert {kind for kind, precision in layers if precision == "f32"} <= {"Const", "Reshape"}  # of weights
    assert ("Convolution", "u8") in layers
    image = portrait[:24, :32]
    difference = compiled([nchw(image, np.uint8)])[0].astype(float) - by_onnxruntime(int8_graphs(name), image)
    assert np.sqrt((difference**2).mean()) < 2  # second convolutions are not rounded before the sum


@pytest.mark.parametrize("name", NAMES)
def test_every_layer_is_integer_arithmetic(int8_graphs: Graphs, portrait: np.ndarray, name: str) -> None:
    model = with_all_tensors(onnx.load(int8_graphs(name)))
    session = ort.InferenceSession(model.SerializeToString(), session_options(threads=1))
    image = nchw(portrait[50:90, 30:66], np.uint8)
    names = [value.name for value in session.get_outputs()]
    codes = {"image": image, **dict(zip(names, session.run(names, {"image": image}), strict=True))}
    for tensor, exact in exact_codes(model, codes):
        # The nearest integer; at a tie, within the error of onnxruntime's float32 scales, either.
        assert np.abs(codes[tensor] - exact).max() <= 0.5 + 1e-4, tensor
    assert codes["output"].std() > 5


@pytest.mark.parametrize("shape", [(1, 1), (2, 5), (17, 9)])
def test_small_images_keep_their_shape(
    int8_graphs: Graphs, portrait: np.ndarray, shape: tuple[int, int]
) -> None:
    output = by_onnxruntime(int8_graphs("x4"), portrait[: shape[0], : shape[1]])
    assert output.shape == (1, 3, 4 * shape[0], 4 * shape[1])
