"""How far a graph looks over its input, and where it can be cut in two."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import onnx
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

from edsr_int8.targets.execution.memory import Activation, activations, steps, stored_as

# Operations whose output pixel depends on the input pixel at its place alone.
POINTWISE = {
    *("Add", "Sub", "Mul", "Relu", "Clip", "Round", "Cast", "Identity"),
    *("QuantizeLinear", "DequantizeLinear"),
}


@dataclass(frozen=True)
class Reach:
    """Of a tensor, seen from the input: pixels to an input pixel, and input pixels around that matter."""

    scale: int
    radius: Fraction


def reaches(graph: GraphProto) -> dict[str, Reach]:
    """The reach of every tensor. ValueError names the first node of which it is not known."""
    weights = {tensor.name: tensor for tensor in graph.initializer}
    constants: dict[str, Sequence[int] | None] = {name: weight.dims for name, weight in weights.items()}
    found = {graph.input[0].name: Reach(1, Fraction(0))}
    for node in graph.node:
        inputs = [found[name] for name in node.input if name in found]
        if not inputs:
            constants[node.output[0]] = _constant_shape(node, constants)
            continue
        scale, radius = max(r.scale for r in inputs), max(r.radius for r in inputs)
        if node.op_type == "Conv":
            radius += Fraction(_conv_radius(node, constants.get(node.input[1])), scale)
        elif node.op_type == "DepthToSpace":
            scale *= _attribute(node, "blocksize", 1)
        elif not (_even(node, constants) and (node.op_type in POINTWISE or _along_channels(node, weights))):
            raise ValueError(f"{node.op_type} {node.name!r}: how far it looks over the image is not known")
        found[node.output[0]] = Reach(scale, radius)
    return found


def cut(model: ModelProto) -> tuple[ModelProto, ModelProto] | None:
    """The part at the input's resolution and the one that enlarges; None where no convolution follows on it.

    The second has most of the memory and little of the reach: apart from the first, it takes small tiles.
    """
    graph = model.graph
    known = reaches(graph)
    if not any(node.op_type == "Conv" and known[node.output[0]].scale > 1 for node in graph.node):
        return None
    place = _before_enlarging(graph)
    if not any(step.left == {place} for step in steps(graph)):  # something else leads past it
        return None
    middle = _middle(place, activations(model)[place])
    return _part(model, graph.input[0], middle), _part(model, middle, graph.output[0])


def save_parts(path: Path, folder: Path) -> list[Path]:
    """Write the two parts of a build that can be cut; their weights leave the memory again."""
    parts = cut(onnx.load(path))
    assert parts is not None
    paths = [folder / "features.onnx", folder / "enlarge.onnx"]
    for part, file in zip(parts, paths, strict=True):
        onnx.save(part, file)
    return paths


def _before_enlarging(graph: GraphProto) -> str:
    """What the convolution reads whose output is the first to be shuffled into pixels."""
    makers = {node.output[0]: node for node in graph.node}
    node = next(node for node in graph.node if node.op_type == "DepthToSpace")
    while node.op_type != "Conv" and node.input[0] in makers:
        node = makers[node.input[0]]
    return stored_as(graph).get(node.input[0], node.input[0])


def _constant_shape(node: NodeProto, constants: Mapping[str, Sequence[int] | None]) -> Sequence[int] | None:
    """Of what a node makes of weights alone; None where that is not known."""
    if node.op_type == "Constant" and (value := _attribute(node, "value", None)) is not None:
        dims: Sequence[int] = value.dims
        return dims
    keeps = node.op_type in ("DequantizeLinear", "QuantizeLinear", "Identity")
    return constants.get(node.input[0]) if keeps else None


def _conv_radius(node: NodeProto, weight: Sequence[int] | None) -> int:
    """ValueError unless each output pixel lies in the middle of what it is computed from."""
    if weight is None:
        raise ValueError(f"Conv {node.name!r}: its weights are no constants of the file")
    kernel = weight[2:]
    spread = _attribute(node, "dilations", [1] * len(kernel))
    reach = [d * (length - 1) for d, length in zip(spread, kernel, strict=True)]
    halves = [length // 2 for length in reach]
    padded = _attribute(node, "pads", [0] * 2 * len(kernel)) == halves * 2
    same = _attribute(node, "auto_pad", b"NOTSET") in (b"SAME_UPPER", b"SAME_LOWER")
    if set(_attribute(node, "strides", [1])) != {1} or any(n % 2 for n in reach) or not (padded or same):
        raise ValueError(
            f"Conv {node.name!r}: tiles need stride 1, an odd kernel and padding that keeps height and width"
        )
    return max(halves)


def _even(node: NodeProto, constants: Mapping[str, Sequence[int] | None]) -> bool:
    """Whether no constant differs from pixel to pixel: it would lie elsewhere in every tile."""
    if node.op_type in ("QuantizeLinear", "DequantizeLinear", "Pad"):  # one for each channel
        return True
    shapes = [constants[name] for name in node.input if name in constants]
    return all(shape is not None and set(shape[-2:]) <= {1} for shape in shapes)


def _along_channels(node: NodeProto, weights: Mapping[str, TensorProto]) -> bool:
    """Whether it joins or pads channels and nothing else, of NCHW."""
    if node.op_type == "Concat":
        return bool(_attribute(node, "axis", 0) in (1, -3))
    if node.op_type != "Pad" or len(node.input) not in (2, 3) or node.input[1] not in weights:
        return False
    pads = numpy_helper.to_array(weights[node.input[1]]).tolist()
    return len(pads) == 8 and not any(pads[i] for i in (0, 2, 3, 4, 6, 7))


def _attribute(node: NodeProto, name: str, default: Any) -> Any:
    return next((helper.get_attribute_value(a) for a in node.attribute if a.name == name), default)


def _middle(name: str, activation: Activation) -> ValueInfoProto:
    channels = activation.shape[1]
    return helper.make_tensor_value_info(name, activation.element, [1, channels, "height", "width"])


def leading_to(name: str, nodes: Iterable[NodeProto], *, source: str = "") -> set[str]:
    """The tensors that `name` is computed from, itself included; not `source`, nor what leads to that."""
    makers = {node.output[0]: node for node in nodes}
    found: set[str] = set()
    waiting = [name]
    while waiting:
        name = waiting.pop()
        if name != source and name in makers and name not in found:
            found.add(name)
            waiting += makers[name].input
    return found


def _part(model: ModelProto, source: ValueInfoProto, target: ValueInfoProto) -> ModelProto:
    """The nodes that lead from `source` to `target`, and their weights."""
    wanted = leading_to(target.name, model.graph.node, source=source.name)
    nodes = [node for node in model.graph.node if node.output[0] in wanted]
    read = {name for node in nodes for name in node.input}
    weights = [tensor for tensor in model.graph.initializer if tensor.name in read]
    graph = helper.make_graph(nodes, model.graph.name, [source], [target], weights)
    return helper.make_model(graph, ir_version=model.ir_version, opset_imports=model.opset_import)
