"""Which pixels of the input a tensor of a graph depends on, read off the graph's operations."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from onnx import GraphProto, NodeProto, TensorProto, numpy_helper

from edsr_int8.targets.graph import attributes

# Operations whose output pixel depends on the input pixel at the same place alone.
POINTWISE = {
    *("Add", "Sub", "Mul", "Relu", "Clip", "Round", "Cast", "Identity"),
    *("QuantizeLinear", "DequantizeLinear"),
}
KEEP_SHAPE = ("Cast", "DequantizeLinear", "Identity", "QuantizeLinear")
MOST_RADIUS = 64  # pixels that one convolution reaches: EDSR's reach 1, MDSR's 2
Shapes = Mapping[str, Sequence[int] | None]  # of constants; None where the shape is not known


@dataclass(frozen=True)
class ReceptiveField:
    """How a tensor lies on the graph's input."""

    scale: int  # pixels of the tensor per input pixel, in height and in width
    radius: Fraction  # input pixels, in each direction, that a pixel of the tensor depends on


def receptive_fields(graph: GraphProto) -> dict[str, ReceptiveField]:
    """The receptive field of every activation.

    ValueError names the first node whose own is not known, or which treats places of the image differently.
    """
    weights = {tensor.name: tensor for tensor in graph.initializer}
    constants: dict[str, Sequence[int] | None] = {name: weight.dims for name, weight in weights.items()}
    found = {graph.input[0].name: ReceptiveField(1, Fraction(0))}
    for node in graph.node:
        inputs = [found[name] for name in node.input if name in found]
        if not inputs:
            constants[node.output[0]] = _constant_shape(node, constants)
            continue
        scale, radius = max(f.scale for f in inputs), max(f.radius for f in inputs)
        if node.op_type == "Conv":
            radius += Fraction(_conv_radius(node, constants.get(node.input[1])), scale)
        elif node.op_type == "DepthToSpace":
            scale *= attributes(node).get("blocksize", 1)
        elif not (
            _uniform(node, constants) and (node.op_type in POINTWISE or _along_channels(node, weights))
        ):
            raise ValueError(f"{node.op_type} {node.name!r}: its receptive field is not known")
        found[node.output[0]] = ReceptiveField(scale, radius)
    for node in graph.node:
        if node.output[0] in constants and node.op_type not in (*KEEP_SHAPE, "Constant"):
            raise ValueError(f"{node.op_type} {node.name!r}: computes a constant; store it in the file")
    return found


def _constant_shape(node: NodeProto, constants: Shapes) -> Sequence[int] | None:
    """Shape of what a node computes from constants alone; None where it is not known."""
    if node.op_type == "Constant" and (value := attributes(node).get("value")) is not None:
        dims: Sequence[int] = value.dims
        return dims
    return constants.get(node.input[0]) if node.op_type in KEEP_SHAPE else None


def _conv_radius(node: NodeProto, weight: Sequence[int] | None) -> int:
    """Radius in pixels of its input. ValueError unless each output pixel is the centre of its kernel."""
    if weight is None:
        raise ValueError(f"Conv {node.name!r}: its weights are no constants of the file")
    options, kernel = attributes(node), weight[2:]
    dilations = options.get("dilations", [1] * len(kernel))
    reach = [d * (length - 1) for d, length in zip(dilations, kernel, strict=True)]
    halves = [length // 2 for length in reach]
    padded = options.get("pads", [0] * 2 * len(kernel)) == halves * 2
    same = options.get("auto_pad", b"NOTSET") in (b"SAME_UPPER", b"SAME_LOWER")
    if set(options.get("strides", [1])) != {1} or any(n % 2 for n in reach) or not (padded or same):
        raise ValueError(
            f"Conv {node.name!r}: tiles need stride 1, an odd kernel and padding that keeps height and width"
        )
    if max(halves, default=0) > MOST_RADIUS:
        raise ValueError(f"Conv {node.name!r}: reaches {max(halves)} pixels; at most {MOST_RADIUS}")
    return max(halves)


def _uniform(node: NodeProto, constants: Shapes) -> bool:
    """Whether its constants are the same at every pixel; a map would lie elsewhere in every tile."""
    if node.op_type in ("QuantizeLinear", "DequantizeLinear", "Pad"):  # at most one value a channel
        return True
    shapes = [constants[name] for name in node.input if name in constants]
    return all(shape is not None and set(shape[-2:]) <= {1} for shape in shapes)


def _along_channels(node: NodeProto, weights: Mapping[str, TensorProto]) -> bool:
    """Whether it joins or pads NCHW tensors along the channels only."""
    if node.op_type == "Concat":
        return attributes(node).get("axis", 0) in (1, -3)
    if node.op_type != "Pad" or len(node.input) not in (2, 3) or node.input[1] not in weights:
        return False
    pads = numpy_helper.to_array(weights[node.input[1]]).tolist()
    return len(pads) == 8 and not any(pads[i] for i in (0, 2, 3, 4, 6, 7))
