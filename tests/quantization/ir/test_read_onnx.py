"""Reading a float graph: what belongs together comes together, and what cannot be quantized is refused."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto, numpy_helper

from edsr_int8.errors import InputError
from edsr_int8.onnx_file import read_onnx
from edsr_int8.quantization.ir.layers import Add, Conv, PixelShuffle
from edsr_int8.quantization.ir.read_onnx import read_network


def rewritten(path: Path, change: Callable[[ModelProto], object], to: Path) -> Path:
    model = read_onnx(path)
    change(model)
    onnx.save(model, to)
    return to


def test_relu_is_part_of_its_convolution(float_graphs: Callable[[str], Path]) -> None:
    layers = {layer.name: layer for layer in read_network(float_graphs("x4")).layers}
    conv = layers["body.0.conv1"]
    assert isinstance(conv, Conv) and (conv.low, conv.high) == (0, math.inf)
    assert layers["body.0.conv2"].inputs == ("body.0.conv1",)
    assert isinstance(layers["body.0.conv2.add"], Add)
    assert isinstance(layers["upsample.1.shuffle"], PixelShuffle)


def test_weights_that_are_no_numbers_are_refused(float_graphs: Callable[[str], Path], tmp_path: Path) -> None:
    def damage(model: ModelProto) -> None:
        weight = next(w for w in model.graph.initializer if w.name == "body_end.weight")
        weight.CopyFrom(numpy_helper.from_array(np.full(tuple(weight.dims), np.nan, np.float32), weight.name))

    with pytest.raises(InputError, match=r"m\.onnx: .*body_end\.weight: holds NaN"):
        read_network(rewritten(float_graphs("x4"), damage, tmp_path / "m.onnx"))


@pytest.mark.parametrize(
    ("attribute", "value"), [("strides", [2, 2]), ("dilations", [2, 2]), ("pads", [0, 0, 0, 0]), ("group", 2)]
)
def test_other_convolutions_are_refused(
    float_graphs: Callable[[str], Path], tmp_path: Path, attribute: str, value: object
) -> None:
    def change(model: ModelProto) -> None:
        node = next(node for node in model.graph.node if node.name == "body_end")
        kept = [a for a in node.attribute if a.name != attribute]
        del node.attribute[:]
        node.attribute.extend([*kept, onnx.helper.make_attribute(attribute, value)])

    with pytest.raises(InputError, match="body_end: only plain convolutions"):
        read_network(rewritten(float_graphs("x4"), change, tmp_path / "m.onnx"))


def test_other_operations_are_refused(float_graphs: Callable[[str], Path], tmp_path: Path) -> None:
    def change(model: ModelProto) -> None:
        next(node for node in model.graph.node if node.op_type == "Relu").op_type = "Sigmoid"

    with pytest.raises(InputError, match=r"body\.0\.conv1\.relu: the quantizer knows no Sigmoid"):
        read_network(rewritten(float_graphs("x4"), change, tmp_path / "m.onnx"))


def test_files_that_are_no_graph_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text.onnx").write_text("not a graph")
    for name in ("text.onnx", "missing.onnx"):
        with pytest.raises(InputError, match=name) as refusal:
            read_network(tmp_path / name)
        assert "\n" not in str(refusal.value)
