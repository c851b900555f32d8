"""Questions that several targets ask of an ONNX graph: who makes a tensor, who reads it, how it is stored."""

from collections.abc import Iterable
from typing import Any

from onnx import GraphProto, ModelProto, NodeProto, helper

from edsr_int8.quantization.scheme import DEFAULT


def dtype(model: ModelProto) -> str:
    """What a build computes in: float32 | float16 | bfloat16 | int8 | mixed (int8 and layers above)."""
    noted = {entry.key: entry.value for entry in model.metadata_props}.get("precision", "")
    if noted in ("float16", "bfloat16", "mixed"):
        return noted
    return "int8" if any(node.op_type == "QuantizeLinear" for node in model.graph.node) else "float32"


def scheme(model: ModelProto) -> str:
    """How a build writes its activations; '' where it has none in 8 bits."""
    noted = {entry.key: entry.value for entry in model.metadata_props}
    return noted.get("scheme", DEFAULT) if dtype(model) in ("int8", "mixed") else ""


def attributes(node: NodeProto) -> dict[str, Any]:
    """The node's attributes by name, as Python values."""
    return {a.name: helper.get_attribute_value(a) for a in node.attribute}


def producers(nodes: Iterable[NodeProto]) -> dict[str, NodeProto]:
    """Tensor -> the node that makes it, by first outputs: no node of a build has a second one."""
    return {node.output[0]: node for node in nodes}


def consumers(graph: GraphProto) -> dict[str, list[NodeProto]]:
    """Tensor -> the nodes that read it; a node that reads it twice is listed twice."""
    found: dict[str, list[NodeProto]] = {}
    for node in graph.node:
        for name in node.input:
            found.setdefault(name, []).append(node)
    return found


def ancestors(name: str, nodes: Iterable[NodeProto], *, source: str = "") -> set[str]:
    """The tensors that `name` is computed from, and `name` itself.

    The search stops before `source`: neither it nor what it alone is computed from is included.
    """
    makers = producers(nodes)
    found: set[str] = set()
    waiting = [name]
    while waiting:
        name = waiting.pop()
        if name != source and name in makers and name not in found:
            found.add(name)
            waiting += makers[name].input
    return found


def stored_as(graph: GraphProto) -> dict[str, str]:
    """Float tensor -> the quantized tensor that a runtime keeps in its place.

    Runtimes fuse DequantizeLinear and QuantizeLinear with the operation between them, so that a float
    tensor next to one of the two never exists.
    """
    stored = {node.output[0]: node.input[0] for node in graph.node if node.op_type == "DequantizeLinear"}
    for name, nodes in consumers(graph).items():
        if len(nodes) == 1 and nodes[0].op_type == "QuantizeLinear":
            stored[name] = nodes[0].output[0]
    return stored
