"""ONNX graphs as this project writes them; a float graph made one with uint8 images in and out."""

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

OPSET = 18  # onnxruntime and OpenVINO both take it
IR_VERSION = 10


def uint8_graph(model: ModelProto) -> ModelProto:
    """The float graph with uint8 images for input and output; the output is clipped and rounded half to even.

    Adds the nodes `image.cast` at the beginning and `output.clip`, `output.round`, `output.cast` at the end.
    """
    graph = model.graph
    last = next(node.name for node in graph.node if "output" in node.output)
    tensors = {"image": "image.cast", "output": last}
    bounds = [
        numpy_helper.from_array(np.array(v, np.float32), f"output.clip.{i}") for i, v in ((1, 0), (2, 255))
    ]
    nodes = [
        helper.make_node("Cast", ["image"], ["image.cast"], "image.cast", to=TensorProto.FLOAT),
        *(_node(node, tensors) for node in graph.node),
        helper.make_node("Clip", [last, "output.clip.1", "output.clip.2"], ["output.clip"], "output.clip"),
        helper.make_node("Round", ["output.clip"], ["output.round"], "output.round"),
        helper.make_node("Cast", ["output.round"], ["output"], "output.cast", to=TensorProto.UINT8),
    ]
    inputs, outputs = ([_uint8(value) for value in side] for side in (graph.input, graph.output))
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    return checked(assemble(nodes, inputs, outputs, [*graph.initializer, *bounds], metadata))


def _node(node: NodeProto, tensors: Mapping[str, str]) -> NodeProto:
    """The same node, reading and writing the renamed `tensors`."""
    inputs, outputs = ([tensors.get(tensor, tensor) for tensor in side] for side in (node.input, node.output))
    attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    return helper.make_node(node.op_type, inputs, outputs, node.name, domain=node.domain, **attributes)


def _uint8(value: ValueInfoProto) -> ValueInfoProto:
    """The same input or output, of uint8."""
    shape = [length.dim_param or length.dim_value for length in value.type.tensor_type.shape.dim]
    return helper.make_tensor_value_info(value.name, TensorProto.UINT8, shape)


def checked(model: ModelProto) -> ModelProto:
    """`model` itself. onnx.checker.ValidationError where it breaks ONNX's rules."""
    onnx.checker.check_model(model, full_check=True)  # with shape inference
    return model


def assemble(
    nodes: Sequence[NodeProto],
    inputs: Sequence[ValueInfoProto],
    outputs: Sequence[ValueInfoProto],
    weights: Sequence[TensorProto],
    metadata: Mapping[str, str],
    *,
    opset: int = OPSET,
    ir_version: int = IR_VERSION,
) -> ModelProto:
    """A model with this project as its producer, not checked; equal arguments give equal bytes."""
    graph = helper.make_graph(nodes, "edsr", inputs, outputs, weights)
    others = sorted({node.domain for node in nodes} - {""})
    opsets = [helper.make_opsetid("", opset), *(helper.make_opsetid(name, 1) for name in others)]
    model = helper.make_model(graph, producer_name="edsr-int8", ir_version=ir_version, opset_imports=opsets)
    helper.set_model_props(model, dict(sorted(metadata.items())))
    return model
