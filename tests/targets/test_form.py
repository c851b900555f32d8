"""The forms of a build: the same pixels on every runtime, and what each form promises, by ONNX's checker."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from needs import need_openvino_int8
from onnx import ModelProto, TensorProto, helper
from tiny_build import photograph
from tiny_qdq import write_edsr

from edsr_int8.onnx_graph import uint8_graph
from edsr_int8.targets.base import open_target
from edsr_int8.targets.form import Form, in_form, save_in_form
from edsr_int8.targets.row import TargetRow
from edsr_int8.targets.wrapping import MOVES

FORMS = pytest.mark.parametrize("form", [Form(17), Form(19, shape=(20, 28)), Form(13, wrapped=False)])


@pytest.fixture(scope="module")
def int8(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("int8") / "model.onnx"
    write_edsr(path, blocks=1)
    return path


def run(runtime: str, model: Path) -> np.ndarray:
    image = np.ascontiguousarray(photograph(20, 28).transpose(2, 0, 1)[None])
    return open_target(TargetRow(runtime, threads=1)).load(model)(image)


def element_types(model: ModelProto) -> dict[str, int]:
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True).graph
    values = (*inferred.input, *inferred.value_info, *inferred.output)
    return {value.name: value.type.tensor_type.elem_type for value in values}


@FORMS
@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_every_form_gives_the_same_bytes(runtime: str, form: Form, int8: Path, tmp_path: Path) -> None:
    if runtime == "openvino":
        need_openvino_int8()
    save_in_form(int8, form, tmp_path / "written.onnx")
    assert np.array_equal(run(runtime, tmp_path / "written.onnx"), run(runtime, int8))


def test_nothing_moves_bare_on_integers_in_the_wrapped_form(int8: Path) -> None:
    written = in_form(onnx.load(int8), Form(17))
    types = element_types(written)
    bare = [
        n.name for n in written.graph.node if n.op_type in MOVES and types[n.output[0]] != TensorProto.FLOAT
    ]
    moved = [n.op_type for n in written.graph.node if n.op_type in MOVES]
    assert not bare and sorted(moved) == ["DepthToSpace", "Pad"]


@FORMS
def test_a_form_has_its_opset_and_its_shape(form: Form, int8: Path) -> None:
    written = in_form(onnx.load(int8), form)
    onnx.checker.check_model(written, full_check=True)
    assert [(entry.domain, entry.version) for entry in written.opset_import] == [("", form.opset)]
    dims = [d.dim_param or d.dim_value for d in written.graph.input[0].type.tensor_type.shape.dim]
    assert dims == [1, 3, *(form.shape or ("height", "width"))]
    if form.shape:
        output = written.graph.output[0].type.tensor_type.shape.dim
        assert [d.dim_value for d in output] == [1, 3, 40, 56]


def test_a_float_build_takes_its_image_without_cast_and_round(tmp_path: Path) -> None:
    """And without Sub, which a compiler of NPUs cannot have before a Conv."""
    weight = np.random.default_rng(0).normal(0, 0.3, (3, 3, 3, 3)).astype(np.float32)
    mean = np.array([[[114.4]], [[111.5]], [[103.0]]], np.float32)
    ends = [
        helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, 3, "height", "width"])
        for n in ("image", "output")
    ]
    graph = helper.make_graph(
        [
            helper.make_node("Sub", ["image", "mean"], ["centred"], "centred"),
            helper.make_node("Conv", ["centred", "weight"], ["output"], "conv", pads=[1, 1, 1, 1]),
        ],
        "float", ends[:1], ends[1:],
        [onnx.numpy_helper.from_array(x, name) for x, name in ((weight, "weight"), (mean, "mean"))],
    )  # fmt: skip
    model = helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 18)])
    onnx.save(uint8_graph(model), tmp_path / "build.onnx")
    save_in_form(tmp_path / "build.onnx", Form(17), tmp_path / "written.onnx")
    written = [node.op_type for node in onnx.load(tmp_path / "written.onnx").graph.node]
    assert written == ["DequantizeLinear", "Add", "Conv", "QuantizeLinear"]
    outputs = [run("onnxruntime", tmp_path / name) for name in ("build.onnx", "written.onnx")]
    assert np.array_equal(*outputs) and {0, 255} <= set(outputs[0].flat)


def test_an_opset_without_this_form_is_refused(int8: Path) -> None:
    with pytest.raises(ValueError, match=r"^opset 23: a form has one from 13 to 21"):
        in_form(onnx.load(int8), Form(23))
