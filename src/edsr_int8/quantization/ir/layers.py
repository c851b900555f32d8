"""A float network as the quantizer sees it: a list of layers, each with one output tensor.

ONNX keeps what belongs together apart (a convolution, its weights, its Relu); here it is one value,
so that a rewrite is a function from layers to layers.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import AttributeProto, ModelProto, NodeProto, helper, numpy_helper

from edsr_int8.errors import InputError

IMAGE = "image"
OUTPUT = "output"


@dataclass(frozen=True, eq=False)
class Layer:
    """One operation on tensors named `inputs`; its output tensor has its `name`."""

    name: str
    inputs: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Conv(Layer):
    """Stride 1, padded by zeros to keep height and width, then clipped to low..high (Relu: 0..inf)."""

    weight: np.ndarray  # OIHW
    bias: np.ndarray
    low: float = -math.inf
    high: float = math.inf
    # Per input channel, the value to expect where it is known; what the rounding of the weights does
    # to it is taken back in the bias.
    expected: np.ndarray | None = None

    @property
    def linear(self) -> bool:
        return (self.low, self.high) == (-math.inf, math.inf)


@dataclass(frozen=True, eq=False)
class Sum(Layer):
    """Two tensors, added."""


@dataclass(frozen=True, eq=False)
class Shift(Layer):
    """A constant added, one for all channels or one for each."""

    constant: np.ndarray


@dataclass(frozen=True, eq=False)
class Gain(Layer):
    """A constant multiplied, one for all channels or one for each."""

    constant: np.ndarray


@dataclass(frozen=True, eq=False)
class Shuffle(Layer):
    """PixelShuffle: C*factor^2 channels -> C channels, `factor` times as high and wide."""

    factor: int


@dataclass(frozen=True, eq=False)
class Plane(Layer):
    """One more channel behind the others, `value` everywhere."""

    value: int


@dataclass(frozen=True, eq=False)
class Taps(Layer):
    """The pixels around each pixel, as they are: a channel for each tap, beyond the image a code of 0.

    A tap is (channel, row, column) of a `kernel` around the pixel. The codes of its input are read on
    another grid: value = scale * (code - zero_point).
    """

    taps: tuple[tuple[int, int, int], ...]
    channels: int  # of its input
    kernel: tuple[int, int]
    scale: float
    zero_point: int

    @property
    def white(self) -> int:
        """Which of the taps is the plane's own: the last channel, in the middle of the kernel."""
        return self.taps.index((self.channels - 1, self.kernel[0] // 2, self.kernel[1] // 2))

    def as_conv(self) -> Conv:
        """The same as a convolution: its weights are all 0 but one an output channel."""
        weight = np.zeros((len(self.taps), self.channels, *self.kernel))
        for i, tap in enumerate(self.taps):
            weight[(i, *tap)] = self.scale
        bias = np.full(len(self.taps), -self.scale * self.zero_point)
        return Conv(self.name, self.inputs, weight, bias)


@dataclass(frozen=True, eq=False)
class Join(Layer):
    """The channels of two tensors on one grid, one after the other."""


@dataclass(frozen=True, eq=False)
class Network:
    """Layers in the order in which they run; the last one's output is the network's."""

    layers: tuple[Layer, ...]
    metadata: dict[str, str]

    @property
    def weights_sha256(self) -> str:
        """Of the checkpoint that it came from; '' where the graph does not say."""
        return self.metadata.get("weights_sha256", "")


def users(layers: Sequence[Layer]) -> Counter[str]:
    """How many layers read each tensor."""
    return Counter(name for layer in layers for name in layer.inputs)


def ends_on_image(network: Network) -> frozenset[str]:
    """Tensors on the output image's grid: the last one, and those that are only shuffled into it."""
    layers = {layer.name: layer for layer in network.layers}
    names = [network.layers[-1].name]
    while isinstance(layer := layers[names[-1]], Shuffle):
        names += layer.inputs
    return frozenset(names)


def measured(network: Network) -> list[str]:
    """Tensors whose range only calibration can tell: neither an image nor a mere shuffle of another."""
    known = ends_on_image(network)
    return [x.name for x in network.layers if isinstance(x, Conv | Sum) and x.name not in known]


def resolutions(network: Network) -> dict[str, int]:
    """How many times as high and wide as the image each tensor is."""
    found = {IMAGE: 1}
    for layer in network.layers:
        factor = layer.factor if isinstance(layer, Shuffle) else 1
        found[layer.name] = found[layer.inputs[0]] * factor
    return found


def read_network(path: Path) -> Network:
    """Read a float ONNX graph. InputError: not ONNX, weights not finite, or an operation not known here."""
    try:
        model = onnx.load(path)
    except FileNotFoundError:
        raise InputError(f"{path}: not found; run the export stage first") from None
    except Exception as error:  # protobuf's exceptions share no base class
        raise InputError(f"{path}: not an ONNX file; run the export stage again ({error})") from error
    try:
        return Network(_layers(model), {entry.key: entry.value for entry in model.metadata_props})
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def _layers(model: ModelProto) -> tuple[Layer, ...]:
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    for name, value in constants.items():
        if not np.isfinite(value).all():
            raise InputError(f"{name}: holds NaN or infinity; these weights are damaged, convert them again")
    readers = Counter(name for node in model.graph.node for name in node.input)
    layers: dict[str, Layer] = {}
    tensors = {model.graph.input[0].name: IMAGE}  # ONNX tensor -> the layer that gives it
    for node in model.graph.node:
        values = [constants[name] for name in node.input if name in constants]
        inputs = tuple(tensors[name] for name in node.input if name in tensors)
        limits = _limits(node, values)
        if limits and readers[node.input[0]] == 1 and isinstance(conv := layers.get(inputs[0]), Conv):
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
            return Sum(node.name, inputs)
        case "Add", 1, 1:
            return Shift(node.name, inputs, values[0].reshape(-1))
        case "Sub", 1, 1:
            return Shift(node.name, inputs, -values[0].reshape(-1))
        case "Mul", 1, 1:
            return Gain(node.name, inputs, values[0].reshape(-1))
        case "DepthToSpace", 1, 0 if attributes.get("mode") == b"CRD":
            return Shuffle(node.name, inputs, attributes["blocksize"])
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
