"""Where the uint8 image enters and leaves a build: by Cast, or by QuantizeLinear and DequantizeLinear."""

from collections.abc import Sequence

import numpy as np
from onnx import NodeProto, TensorProto, helper, numpy_helper

from edsr_int8.quantization.ir.layers import IMAGE
from edsr_int8.targets.wrapping import ROUNDING


def with_image_edges(
    nodes: Sequence[NodeProto], constants: Sequence[TensorProto]
) -> tuple[list[NodeProto], list[TensorProto]]:
    """Nodes and constants of a float build with its image dequantized and quantized: scale 1, zero point 0.

    QuantizeLinear rounds halves to even and saturates, as Clip, Round and Cast together do. A constant is
    added, not subtracted: the HTP's compiler fails on a Sub before a Conv. Other builds stay as they are.
    """
    by_output = {node.output[0]: node for node in nodes}
    names = ("image.cast", "output", "output.round", "output.clip")
    ends = [by_output[name] for name in names if name in by_output]
    if [node.op_type for node in ends] != ["Cast", "Cast", "Round", "Clip"]:
        return list(nodes), list(constants)
    first, last, *_, clip = ends
    values = {tensor.name: tensor for tensor in constants}
    grid = {"image.scale": np.float32(1), "image.zero_point": np.uint8(0)}
    written = [
        helper.make_node("DequantizeLinear", [first.input[0], *grid], first.output, first.name),
        *(_added(node, values) for node in nodes if node not in ends),
        helper.make_node("QuantizeLinear", [clip.input[0], *grid], last.output, last.name),
    ]
    values |= {name: numpy_helper.from_array(np.asarray(value), name) for name, value in grid.items()}
    read = {name for node in written for name in node.input}
    return written, [tensor for tensor in values.values() if tensor.name in read]


def _added(node: NodeProto, values: dict[str, TensorProto]) -> NodeProto:
    """A Sub of a constant as an Add of its negative, which is new in `values`; other nodes themselves."""
    if node.op_type != "Sub" or node.input[1] not in values:
        return node
    name = f"{node.input[1]}.negative"
    values[name] = numpy_helper.from_array(-numpy_helper.to_array(values[node.input[1]]), name)
    return helper.make_node("Add", [node.input[0], name], node.output, node.name)


def with_cast_edges(
    nodes: Sequence[NodeProto], constants: Sequence[TensorProto], output: str
) -> tuple[list[NodeProto], list[TensorProto]]:
    """Nodes and constants with the uint8 image cast to float at the input, and back at the output.

    The zero points of uint8 become a subtraction and an addition. ValueError where uint8 lies elsewhere.
    """
    values = {tensor.name: numpy_helper.to_array(tensor) for tensor in constants}
    makers = {node.output[0]: node for node in nodes}
    written, more = [], {}
    for node in nodes:
        zero_point = values.get(node.input[2]) if node.op_type in ROUNDING else None
        if zero_point is None or zero_point.dtype != np.uint8:
            written.append(node)
            continue
        if values[node.input[1]] != 1:
            raise ValueError(f"{node.name}: uint8 codes that are no image")
        more["image.centre"] = np.float32(zero_point)
        if node.op_type == "DequantizeLinear" and node.input[0] == IMAGE:
            written += [
                helper.make_node("Cast", [IMAGE], ["image.cast"], "image.cast", to=TensorProto.FLOAT),
                helper.make_node("Sub", ["image.cast", "image.centre"], node.output, "image.centred"),
            ]
        elif node.output[0] == output and makers[node.input[0]].op_type == "DequantizeLinear":
            written += [
                helper.make_node("Add", [node.input[0], "image.centre"], ["output.grey"], "output.grey"),
                helper.make_node("Cast", ["output.grey"], [output], "output.cast", to=TensorProto.UINT8),
            ]
        else:
            raise ValueError(f"{node.name}: uint8 codes between int8 ones")
    tensors = [numpy_helper.from_array(np.asarray(value), name) for name, value in more.items()]
    return written, [*constants, *tensors]
