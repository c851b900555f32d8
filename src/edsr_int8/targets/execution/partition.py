"""The cut of a build into two subgraphs, so that each can run on tiles of its own shape."""

from pathlib import Path

import onnx
from onnx import GraphProto, ModelProto, ValueInfoProto, helper

from edsr_int8.onnx_file import read_onnx
from edsr_int8.targets.execution.memory import Activation, activations, liveness
from edsr_int8.targets.execution.receptive_field import receptive_fields
from edsr_int8.targets.graph import ancestors, producers, stored_as


def partition(model: ModelProto) -> tuple[ModelProto, ...]:
    """The subgraph at the input's resolution and the one that enlarges, to run one after the other.

    The second takes most of the memory and adds little to the receptive field, so apart from the first it
    runs on small tiles with a small halo. A model in which no convolution runs on enlarged features, or in
    which another tensor bypasses the cut, is returned whole.
    """
    graph = model.graph
    fields = receptive_fields(graph)
    if not any(node.op_type == "Conv" and fields[node.output[0]].scale > 1 for node in graph.node):
        return (model,)
    place = _before_enlarging(graph)
    if not any(step.live_after == {place} for step in liveness(graph)):
        return (model,)
    middle = _middle(place, activations(model)[place])
    return _subgraph(model, graph.input[0], middle), _subgraph(model, middle, graph.output[0])


def save_subgraphs(path: Path, folder: Path) -> list[Path]:
    """Write the subgraphs of the build `path` into `folder`; none of their weights stays in memory."""
    paths = []
    for i, model in enumerate(partition(read_onnx(path, "quantize"))):
        paths.append(folder / f"subgraph_{i}.onnx")
        onnx.save(model, paths[-1])
    return paths


def _before_enlarging(graph: GraphProto) -> str:
    """The input of the convolution whose output is the first to be rearranged into more pixels."""
    makers = producers(graph.node)
    node = next(node for node in graph.node if node.op_type == "DepthToSpace")
    while node.op_type != "Conv" and node.input[0] in makers:
        node = makers[node.input[0]]
    return stored_as(graph).get(node.input[0], node.input[0])


def _middle(name: str, activation: Activation) -> ValueInfoProto:
    channels = activation.shape[1]
    return helper.make_tensor_value_info(name, activation.element, [1, channels, "height", "width"])


def _subgraph(model: ModelProto, source: ValueInfoProto, target: ValueInfoProto) -> ModelProto:
    """The nodes that compute `target` from `source`, and their weights."""
    wanted = ancestors(target.name, model.graph.node, source=source.name)
    nodes = [node for node in model.graph.node if node.output[0] in wanted]
    read = {name for node in nodes for name in node.input}
    weights = [tensor for tensor in model.graph.initializer if tensor.name in read]
    graph = helper.make_graph(nodes, model.graph.name, [source], [target], weights)
    part = helper.make_model(graph, ir_version=model.ir_version, opset_imports=model.opset_import)
    part.metadata_props.extend(model.metadata_props)  # they say what the build computes in
    return part
