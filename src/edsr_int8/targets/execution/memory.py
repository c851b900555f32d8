"""How much memory the activations of a graph take, computed from its shapes alone."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod

import onnx
from onnx import GraphProto, ModelProto, NodeProto, helper

from edsr_int8.targets.graph import stored_as

PROBE = 64  # height and width of the input that shapes are inferred for; any multiple of the scales would do
INT32_BYTES = 4


@dataclass(frozen=True)
class Activation:
    """Type and shape of a tensor when the input has PROBE x PROBE pixels."""

    element: int  # onnx.TensorProto's number of the type
    shape: tuple[int, ...]

    @property
    def bytes_per_pixel(self) -> float:
        """Bytes of the tensor per pixel of the graph's input."""
        return helper.tensor_dtype_to_np_dtype(self.element).itemsize * prod(self.shape) / PROBE**2


@dataclass(frozen=True)
class Liveness:
    """A node, the activations in memory while it runs, and those still needed after it."""

    node: NodeProto
    live: frozenset[str]
    live_after: frozenset[str]


def liveness(graph: GraphProto) -> Iterator[Liveness]:
    """The nodes in their order. An activation lives from its producer to its last consumer.

    One node at a time: the sets of all together would take memory by the square of their number.
    Weights do not count. A float tensor that is quantized at once counts as its quantized form (stored_as).
    """
    stored = stored_as(graph)
    constants = {tensor.name for tensor in graph.initializer}
    last = {stored.get(name, name): i for i, node in enumerate(graph.node) for name in node.input}
    last |= {value.name: len(graph.node) for value in graph.output}
    live = {graph.input[0].name}
    for i, node in enumerate(graph.node):
        constants |= set(node.output) if constants.issuperset(node.input) else set()
        live |= {stored.get(name, name) for name in node.output} - constants
        after = {name for name in live if last.get(name, -1) > i}
        yield Liveness(node, frozenset(live), frozenset(after))
        live = after


def peak_bytes_per_pixel(model: ModelProto, *, unfold: bool) -> float:
    """Bytes of the live activations at the node where they are the most, per pixel of the input.

    `unfold`: an int8 convolution also takes its unfolded input (im2col) and its int32 accumulators.
    """
    graph = model.graph
    types = activations(model)
    stored = stored_as(graph)
    weights = {tensor.name: tensor.dims for tensor in graph.initializer}
    peak = 0.0
    for step in liveness(graph):
        held = sum(types[name].bytes_per_pixel for name in step.live if name in types)
        node = step.node
        if unfold and node.op_type == "Conv" and node.input[1] in stored:
            held += _unfolded_bytes(types[node.output[0]].shape, weights[stored[node.input[1]]])
        peak = max(peak, held)
    return peak


def _unfolded_bytes(output: Sequence[int], weight: Sequence[int]) -> float:
    """im2col holds a byte for each weight of an output channel, at each output pixel."""
    channels, *kernel = weight
    return prod(output[2:]) * (prod(kernel) + channels * INT32_BYTES) / PROBE**2


def activations(model: ModelProto) -> dict[str, Activation]:
    """Every tensor but the weights whose type can be inferred. InferenceError where types conflict."""
    graph = model.graph
    # Shape inference copies the whole model several times, so it gets large weights without their values.
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
