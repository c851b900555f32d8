"""ONNX graphs as this project writes them: named by layer, without the exporter's notes, uint8 in and out."""

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import onnx
from onnx import AttributeProto, ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

OPSET = 18  # onnxruntime and OpenVINO both take it
IR_VERSION = 10
SUFFIXES = {"Mul": "scale", "DepthToSpace": "shuffle"}  # of any other operation, its type in lower case


def rebuild(model: ModelProto, *, parameters: Collection[str], metadata: Mapping[str, str]) -> ModelProto:
    """The same computation, renamed: nodes, weights and `metadata`, and nothing else of the model.

    A convolution is named after its weight (`head.weight` -> `head`), any other node after the convolution
    before it and what it does (`head.relu`); the output tensor of a node has the node's name. Initializers
    in `parameters` keep their names; other constants are named after the first node that reads them.
    """
    graph = model.graph
    if any(a.type in (AttributeProto.GRAPH, AttributeProto.GRAPHS) for n in graph.node for a in n.attribute):
        raise ValueError("a graph with control flow (If, Loop, Scan) cannot be renamed")
    names = node_names(model, parameters)
    tensors = _tensor_names(model, names, parameters)
    nodes = [_node(node, name, tensors) for node, name in zip(graph.node, names, strict=True)]
    weights = [
        _tensor(weight, tensors[weight.name]) for weight in graph.initializer if weight.name in tensors
    ]
    weights += _restore_biases(nodes, weights, parameters)
    inputs, outputs = [_value(v) for v in graph.input], [_value(v) for v in graph.output]
    return checked(assemble(nodes, inputs, outputs, weights, metadata))


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
        *(_node(node, node.name, tensors) for node in graph.node),
        helper.make_node("Clip", [last, "output.clip.1", "output.clip.2"], ["output.clip"], "output.clip"),
        helper.make_node("Round", ["output.clip"], ["output.round"], "output.round"),
        helper.make_node("Cast", ["output.round"], ["output"], "output.cast", to=TensorProto.UINT8),
    ]
    inputs, outputs = (
        [_value(value, TensorProto.UINT8) for value in side] for side in (graph.input, graph.output)
    )
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    return checked(assemble(nodes, inputs, outputs, [*graph.initializer, *bounds], metadata))


def node_names(model: ModelProto, parameters: Collection[str]) -> list[str]:
    """A unique name for each node, in the order of the graph; no input, output or constant has it."""
    constants = {tensor.name for tensor in model.graph.initializer}
    taken = {*constants, *parameters, *(value.name for value in (*model.graph.input, *model.graph.output))}
    layers: dict[str, tuple[int, str]] = {}  # tensor -> the last convolution before it: (position, name)
    names = []
    for position, node in enumerate(model.graph.node):
        layer = max((layers[tensor] for tensor in node.input if tensor in layers), default=(-1, ""))
        name = _name(node, layer[1], constants)
        while name in taken:
            name += "_"
        taken.add(name)
        names.append(name)
        layers |= dict.fromkeys(node.output, (position, name) if node.op_type == "Conv" else layer)
    return names


def _name(node: NodeProto, layer: str, constants: Collection[str]) -> str:
    if node.op_type == "Conv" and node.input[1] in constants and node.input[1].endswith(".weight"):
        return node.input[1].removesuffix(".weight")
    if node.op_type in ("Sub", "Add") and "mean" in node.input:
        return f"{node.op_type.lower()}_mean"
    suffix = SUFFIXES.get(node.op_type, node.op_type.lower())
    return f"{layer}.{suffix}" if layer else suffix


def _tensor_names(model: ModelProto, names: Sequence[str], parameters: Collection[str]) -> dict[str, str]:
    """Old name -> new name of every tensor in use. The graph's inputs and outputs keep theirs."""
    constants = {tensor.name for tensor in model.graph.initializer}
    tensors = {value.name: value.name for value in (*model.graph.input, *model.graph.output)}
    for node, name in zip(model.graph.node, names, strict=True):
        for i, tensor in enumerate(node.input):
            if tensor in constants:
                tensors.setdefault(tensor, tensor if tensor in parameters else f"{name}.{i}")
        for i, tensor in enumerate(node.output):
            tensors.setdefault(tensor, f"{name}.output{i}" if i else name)
    return tensors


def _node(node: NodeProto, name: str, tensors: Mapping[str, str]) -> NodeProto:
    inputs, outputs = ([tensors.get(tensor, tensor) for tensor in side] for side in (node.input, node.output))
    attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    return helper.make_node(node.op_type, inputs, outputs, name, domain=node.domain, **attributes)


def _tensor(tensor: TensorProto, name: str) -> TensorProto:
    bare = TensorProto()
    bare.CopyFrom(tensor)
    bare.name = name
    bare.ClearField("doc_string")
    bare.ClearField("metadata_props")
    return bare


def _restore_biases(
    nodes: Sequence[NodeProto], weights: Sequence[TensorProto], parameters: Collection[str]
) -> list[TensorProto]:
    """Give convolutions back the biases that the exporter drops because they are zero; return these."""
    outputs = {weight.name: weight.dims[0] for weight in weights if weight.dims}
    bare = [n for n in nodes if n.op_type == "Conv" and len(n.input) == 2 and f"{n.name}.bias" in parameters]
    for node in bare:
        node.input.append(f"{node.name}.bias")
    return [numpy_helper.from_array(np.zeros(outputs[n.input[1]], np.float32), n.input[2]) for n in bare]


def _value(value: ValueInfoProto, kind: int = 0) -> ValueInfoProto:
    """The same input or output, with name, type and shape alone; `kind`, if given, is its element type."""
    tensor = value.type.tensor_type
    shape = [length.dim_param or length.dim_value for length in tensor.shape.dim]
    return helper.make_tensor_value_info(value.name, kind or tensor.elem_type, shape)


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
    opsets = [helper.make_opsetid("", opset)]
    model = helper.make_model(graph, producer_name="edsr-int8", ir_version=ir_version, opset_imports=opsets)
    helper.set_model_props(model, dict(sorted(metadata.items())))
    return model
