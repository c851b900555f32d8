"""How much memory the activations of a graph take, from its shapes alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import onnx
from onnx import GraphProto, ModelProto, NodeProto, helper

PROBE = 64  # pixels each way of the input that shapes are inferred for; any multiple of the scales would do
INT32_BYTES = 4


@dataclass(frozen=True)
class Activation:
    """Type and shape of a tensor for an input of PROBE x PROBE pixels."""

    element: int  # onnx.TensorProto's number of the type
    shape: tuple[int, ...]

    @property
    def bytes_per_pixel(self) -> float:
        """Of the input."""
        return helper.tensor_dtype_to_np_dtype(self.element).itemsize * prod(self.shape) / PROBE**2


@dataclass(frozen=True)
class Step:
    """A node, the activations in memory while it runs, and those that somebody still needs after it."""

    node: NodeProto
    alive: frozenset[str]
    left: frozenset[str]


def steps(graph: GraphProto) -> list[Step]:
    """The nodes in their order. A tensor lives from its node to its last reader; weights do not count.

    A tensor between DequantizeLinear and QuantizeLinear goes by its quantized form: runtimes fuse these.
    """
    stored = stored_as(graph)
    constants = {tensor.name for tensor in graph.initializer}
    last = {stored.get(name, name): i for i, node in enumerate(graph.node) for name in node.input}
    last |= {value.name: len(graph.node) for value in graph.output}
    alive = {graph.input[0].name}
    found = []
    for i, node in enumerate(graph.node):
        alive |= {stored.get(name, name) for name in node.output} - constants
        left = {name for name in alive if last.get(name, -1) > i}
        found.append(Step(node, frozenset(alive), frozenset(left)))
        alive = left
    return found


def stored_as(graph: GraphProto) -> dict[str, str]:
    """Float tensor -> the quantized one that a runtime keeps in its place."""
    readers: dict[str, list[NodeProto]] = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    stored = {node.output[0]: node.input[0] for node in graph.node if node.op_type == "DequantizeLinear"}
    for name, nodes in readers.items():
        if len(nodes) == 1 and nodes[0].op_type == "QuantizeLinear":
            stored[name] = nodes[0].output[0]
    return stored


def peak_bytes_per_pixel(model: ModelProto, *, unfold: bool) -> float:
    """Bytes of the activations alive at once, at the worst node, per pixel of the input.

    `unfold`: and what im2col and int32 sums take while an int8 convolution runs.
    """
    graph = model.graph
    types = activations(model)
    stored = stored_as(graph)
    weights = {tensor.name: tensor.dims for tensor in graph.initializer}
    peak = 0.0
    for step in steps(graph):
        held = sum(types[name].bytes_per_pixel for name in step.alive if name in types)
        node = step.node
        if unfold and node.op_type == "Conv" and node.input[1] in stored:
            held += _unfolded_bytes(types[node.output[0]].shape, weights[stored[node.input[1]]])
        peak = max(peak, held)
    return peak


def _unfolded_bytes(output: Sequence[int], weight: Sequence[int]) -> float:
    """Of im2col (a byte for each weight of an output channel) and int32 sums, at each output pixel."""
    channels, *kernel = weight
    return prod(output[2:]) * (prod(kernel) + channels * INT32_BYTES) / PROBE**2


def activations(model: ModelProto) -> dict[str, Activation]:
    """Every tensor but the weights whose type can be inferred. InferenceError where types clash."""
    graph = model.graph
    # Inference copies the whole model several times over: leave the weights' values out of it.
    light = [tensor for tensor in graph.initializer if prod(tensor.dims) <= PROBE]
    heavy = [tensor for tensor in graph.initializer if prod(tensor.dims) > PROBE]
    image = graph.input[0].type.tensor_type
    shape = [1, image.shape.dim[1].dim_value, PROBE, PROBE]
    inputs = [helper.make_tensor_value_info(graph.input[0].name, image.elem_type, shape)]
    inputs += [helper.make_tensor_value_info(t.name, t.data_type, t.dims) for t in heavy]
    outputs = [
        helper.make_tensor_value_info(v.name, v.type.tensor_type.elem_type, None) for v in graph.output
    ]
    bare = helper.make_model(
        helper.make_graph(graph.node, graph.name, inputs, outputs, light), opset_imports=model.opset_import
    )
    inferred = onnx.shape_inference.infer_shapes(bare).graph
    weights = {tensor.name for tensor in graph.initializer}
    return {
        value.name: Activation(
            value.type.tensor_type.elem_type, tuple(d.dim_value for d in value.type.tensor_type.shape.dim)
        )
        for value in (*inferred.input, *inferred.value_info, *inferred.output)
        if value.name not in weights and value.type.tensor_type.elem_type
    }
