"""What is no graph of a network is refused before a runtime sees it: by ONNX's rules, and by its values."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper
from tiny_build import Tiny, write_tiny

from edsr_int8.__main__ import main
from edsr_int8.data.images import write_png
from edsr_int8.errors import InputError
from edsr_int8.onnx_file import read_metadata, read_onnx, write_onnx


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    return write_tiny(tmp_path_factory.mktemp("tiny") / "model.onnx")


def refusal(model: ModelProto, path: Path) -> str:
    path.write_bytes(model.SerializeToString())
    with pytest.raises(InputError) as caught:
        read_onnx(path)
    text = str(caught.value)
    assert text.startswith(f"{path}: ") and "\n" not in text
    return text


def cycle(model: ModelProto) -> None:
    model.graph.node[0].input[0] = model.graph.output[0].name


def no_input(model: ModelProto) -> None:
    conv = next(node for node in model.graph.node if node.op_type == "Conv")
    del conv.input[1:]


def no_output(model: ModelProto) -> None:
    del model.graph.node[0].output[:]


def claimed(model: ModelProto) -> None:
    model.graph.initializer[0].dims[0] = 10**9


def below_zero(model: ModelProto) -> None:
    model.graph.initializer[0].dims[0] *= -1


def not_finite(model: ModelProto) -> None:
    weight = model.graph.initializer[0]
    values = np.full(tuple(weight.dims), np.inf, np.float32)
    weight.CopyFrom(numpy_helper.from_array(values, weight.name))


def elsewhere(model: ModelProto) -> None:
    weight = model.graph.initializer[0]
    weight.ClearField("raw_data")
    weight.data_location = TensorProto.EXTERNAL
    for key, value in {"location": "../../../etc/passwd", "length": "864"}.items():
        entry = weight.external_data.add()
        entry.key, entry.value = key, value


def branches(model: ModelProto) -> None:
    model.graph.node[0].attribute.append(helper.make_attribute("then_branch", model.graph))


def unknown_type(model: ModelProto) -> None:
    model.graph.initializer[0].data_type = 999


def nodes_without_end(model: ModelProto) -> None:
    for _ in range(10_001):
        model.graph.node.add().CopyFrom(model.graph.node[0])


@pytest.mark.parametrize(
    "damage",
    [cycle, no_input, no_output, claimed, below_zero, not_finite, elsewhere, branches, unknown_type,
     nodes_without_end],
)  # fmt: skip
def test_a_graph_that_breaks_the_rules_is_refused(
    tiny: Tiny, tmp_path: Path, damage: Callable[[ModelProto], None]
) -> None:
    model = onnx.load(tiny.path)
    damage(model)
    refusal(model, tmp_path / "model.onnx")


@pytest.mark.parametrize("scale", [np.nan, np.inf, 0.0, -1.0])
def test_a_scale_that_is_none_is_refused(tmp_path: Path, scale: float) -> None:
    """With NaN, a runtime gives a black picture and no error."""
    image, output = (helper.make_tensor_value_info(n, TensorProto.UINT8, [1, 3, "h", "w"]) for n in "io")
    values = {"scale": np.float32(scale), "zero": np.uint8(0)}
    weights = [numpy_helper.from_array(np.asarray(value), name) for name, value in values.items()]
    nodes = [
        helper.make_node("DequantizeLinear", ["i", "scale", "zero"], ["x"]),
        helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["o"]),
    ]
    graph = helper.make_graph(nodes, "g", [image], [output], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    assert "scale: " in refusal(model, tmp_path / "model.onnx")


HOSTILE = ("conv_one_input", "cycle", "image_2d", "mutated_fp32", "nhwc", "node_without_output",
           "scale_nan_silent_black")  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_apply_names_a_hostile_graph(
    name: str, shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_png(tmp_path / "in.png", np.zeros((20, 24, 3), np.uint8))
    model = shared / "cases" / "hostile" / f"{name}.onnx"
    assert main(["apply", str(model), str(tmp_path / "in.png"), str(tmp_path / "out.png")]) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"error: {model}: ") and said.count("\n") == 1
    assert not (tmp_path / "out.png").exists()


def test_metadata_are_read_without_the_graph(tiny: Tiny, tmp_path: Path) -> None:
    model = onnx.load(tiny.path)
    assert read_metadata(tiny.path) == {entry.key: entry.value for entry in model.metadata_props}
    helper.set_model_props(model, {"scheme": "int8_symmetric", "long": "x" * 300})
    write_onnx(model, tmp_path / "sealed.onnx")
    found = read_metadata(tmp_path / "sealed.onnx")
    assert (found["scheme"], len(found["long"])) == ("int8_symmetric", 300)


@pytest.mark.parametrize("content", [b"", b"no graph at all", b"\x72\x7f", b"\xff" * 20])
def test_what_is_no_onnx_file_has_no_metadata(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "file.onnx").write_bytes(content)
    assert read_metadata(tmp_path / "file.onnx") == {}
    assert read_metadata(tmp_path / "none.onnx") == {}
