"""A float ONNX graph -> a Network."""

import math
from collections import Counter
from pathlib import Path

import numpy as np
from onnx import AttributeProto, ModelProto, NodeProto, helper, numpy_helper

from edsr_int8.errors import InputError
from edsr_int8.onnx_file import read_onnx
from edsr_int8.quantization.ir.layers import (
    IMAGE,
    Add,
    Conv,
    Gain,
    Layer,
    Network,
    PixelShuffle,
    Shift,
)


def read_network(path: Path) -> Network:
    """Read a float ONNX graph. InputError: not ONNX, weights not finite, or an operation not known here."""
    model = read_onnx(path)
    try:
        return Network(_layers(model), {entry.key: entry.value for entry in model.metadata_props})
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except (KeyError, IndexError, ValueError, TypeError) as error:  # a graph of another kind
        raise InputError(f"{path}: no graph of an EDSR ({error}); run the export stage again") from None


def _layers(model: ModelProto) -> tuple[Layer, ...]:
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    consumers = Counter(name for node in model.graph.node for name in node.input)
    layers: dict[str, Layer] = {}
    tensors = {model.graph.input[0].name: IMAGE}  # ONNX tensor -> the layer that produces it
    for node in model.graph.node:
        values = [constants[name] for name in node.input if name in constants]
        inputs = tuple(tensors[name] for name in node.input if name in tensors)
        limits = _limits(node, values)
        if limits and consumers[node.input[0]] == 1 and isinstance(conv := layers.get(inputs[0]), Conv):
            layers[conv.name] = Conv(conv.name, conv.inputs, conv.weight, conv.bias, *limits)
            tensors[node.output[0]] = conv.name
        else:
            layers[node.name] = _layer(node, inputs, values)
            tensors[node.output[0]] = node.name
    return tuple(layers.values())


def _limits(node: NodeProto, values: list[np.ndarray]) -> tuple[float, float] | None:
    if node.op_type == "Relu":
        return 0.0, math.inf
    if node.op_type == "Clip" and len(values) == 2:
        return float(values[0]), float(values[1])
    return None


def _layer(node: NodeProto, inputs: tuple[str, ...], values: list[np.ndarray]) -> Layer:
    attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    match node.op_type, len(inputs), len(values):
        case "Conv", 1, (1 | 2):
            _require_same_conv(node, values[0], attributes)
            bias = values[1] if len(values) == 2 else np.zeros(len(values[0]), np.float32)
            return Conv(node.name, inputs, values[0], bias)
        case "Add", 2, 0:
            return Add(node.name, inputs)
        case "Add", 1, 1:
            return Shift(node.name, inputs, values[0].reshape(-1))
        case "Sub", 1, 1:
            return Shift(node.name, inputs, -values[0].reshape(-1))
        case "Mul", 1, 1:
            return Gain(node.name, inputs, values[0].reshape(-1))
        case "DepthToSpace", 1, 0 if attributes.get("mode") == b"CRD":
            return PixelShuffle(node.name, inputs, attributes["blocksize"])
    raise InputError(
        f"{node.name}: the quantizer knows no {node.op_type} like this; give it a float EDSR graph"
    )


def _require_same_conv(node: NodeProto, weight: np.ndarray, attributes: dict[str, AttributeProto]) -> None:
    height, width = weight.shape[2:]
    same = [height // 2, width // 2] * 2
    plain = {"group": 1, "strides": [1, 1], "dilations": [1, 1], "pads": same, "auto_pad": b"NOTSET"}
    required = {"pads": same} | {key: value for key, value in attributes.items() if key in plain}
    if any(attributes.get(key) != plain[key] for key in required):
        raise InputError(f"{node.name}: only plain convolutions that keep height and width can be quantized")
