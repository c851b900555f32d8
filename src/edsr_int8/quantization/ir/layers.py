"""A float network as the quantizer sees it: a list of layers, each with one output tensor.

ONNX keeps what belongs together apart (a convolution, its weights, its Relu). Here it is one value, so that
a rewrite is a function from layers to layers.
"""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

IMAGE = "image"
OUTPUT = "output"


@dataclass(frozen=True, eq=False)
class Layer:
    """One operation on the tensors `inputs`; its output tensor has its `name`."""

    name: str
    inputs: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Conv(Layer):
    """Stride 1, zero padding that keeps height and width, then clipped to low..high (Relu: 0..inf)."""

    weight: np.ndarray  # OIHW
    bias: np.ndarray
    low: float = -math.inf
    high: float = math.inf
    # The value to expect of each input channel, where it is known: the bias then compensates what rounding
    # the weights does to that value.
    expected: np.ndarray | None = None
    # So many groups of output channels carry the same values, on offset grids: rewrites/carry.py.
    carriers: int = 1

    @property
    def offsets(self) -> np.ndarray:
        """By how many steps of the output's grid each channel is raised ahead of rounding; 0 on average."""
        places = (np.arange(self.carriers) - (self.carriers - 1) / 2) / self.carriers
        return np.repeat(places, len(self.bias) // self.carriers)

    @property
    def linear(self) -> bool:
        return (self.low, self.high) == (-math.inf, math.inf)


@dataclass(frozen=True, eq=False)
class Add(Layer):
    """The sum of two tensors."""


@dataclass(frozen=True, eq=False)
class Shift(Layer):
    """A constant added: one for all channels, or one for each."""

    constant: np.ndarray


@dataclass(frozen=True, eq=False)
class Gain(Layer):
    """A constant multiplied: one for all channels, or one for each."""

    constant: np.ndarray


@dataclass(frozen=True, eq=False)
class PixelShuffle(Layer):
    """C * factor^2 channels -> C channels, `factor` times as high and wide."""

    factor: int


@dataclass(frozen=True, eq=False)
class ConstantPlane(Layer):
    """One more channel after the others, `value` in every pixel: the image's largest, code 255."""

    value: int


@dataclass(frozen=True, eq=False)
class Taps(Layer):
    """The pixels around each pixel, unchanged: one channel a tap, value 0 beyond the image's border (im2col).

    A tap is (channel, row, column) in a `kernel` around the pixel. The codes of the input are read on
    another grid: value = scale * (code - zero_point).
    """

    taps: tuple[tuple[int, int, int], ...]
    channels: int  # of its input
    kernel: tuple[int, int]
    scale: float
    zero_point: int
    centre: int = 0  # the zero point of the image, whose codes they are

    @property
    def white(self) -> int:
        """Index of the constant plane's own tap: the last channel, in the middle of the kernel."""
        return self.taps.index((self.channels - 1, self.kernel[0] // 2, self.kernel[1] // 2))

    @property
    def offset(self) -> float:
        """The value of a tap is scale * the image's value + offset."""
        return self.scale * (self.centre - self.zero_point)

    def as_conv(self) -> Conv:
        """The same as a convolution: each output channel has one weight that is not 0."""
        weight = np.zeros((len(self.taps), self.channels, *self.kernel))
        for i, tap in enumerate(self.taps):
            weight[(i, *tap)] = self.scale
        bias = np.full(len(self.taps), self.offset)
        return Conv(self.name, self.inputs, weight, bias)


@dataclass(frozen=True, eq=False)
class Concat(Layer):
    """The channels of several tensors on one grid, one after the other."""


@dataclass(frozen=True, eq=False)
class Network:
    """Layers in the order in which they run; the last one's output is the network's."""

    layers: tuple[Layer, ...]
    metadata: dict[str, str]
    centre: int = 0  # IMAGE and the output are grey levels less this: rewrites/centre.py

    @property
    def weights_sha256(self) -> str:
        """Of the checkpoint that the network came from; '' where the graph does not say."""
        return self.metadata.get("weights_sha256", "")


def consumers(layers: Sequence[Layer]) -> Counter[str]:
    """The number of layers that read each tensor."""
    return Counter(name for layer in layers for name in layer.inputs)


def channel_counts(network: Network) -> dict[str, int]:
    """The number of channels of each tensor."""
    found = {IMAGE: 3}
    for layer in network.layers:
        sources = [found[name] for name in layer.inputs]
        match layer:
            case Conv():
                found[layer.name] = len(layer.bias)
            case Taps():
                found[layer.name] = len(layer.taps)
            case PixelShuffle():
                found[layer.name] = sources[0] // layer.factor**2
            case ConstantPlane():
                found[layer.name] = sources[0] + 1
            case Concat():
                found[layer.name] = sum(sources)
            case _:
                found[layer.name] = sources[0]
    return found


def parts(network: Network) -> dict[str, dict[str, slice]]:
    """Of each tensor, where in its channels those of which tensors are: several in a concatenation."""
    counts = channel_counts(network)
    found = {name: {name: slice(0, count)} for name, count in counts.items()}
    for layer in network.layers:
        if isinstance(layer, Concat):
            found[layer.name], start = {}, 0
            for source in layer.inputs:
                for name, part in found[source].items():
                    found[layer.name][name] = slice(start + part.start, start + part.stop)
                start += counts[source]
    return found


def convolutions(network: Network) -> Iterator[Conv]:
    """Every layer that runs as a convolution, taps included."""
    for layer in network.layers:
        if isinstance(layer, Taps):
            yield layer.as_conv()
        elif isinstance(layer, Conv):
            yield layer


def integer_only(network: Network) -> frozenset[str]:
    """Convolutions that cannot stay in float: their input is a concatenation, which exists as codes only."""
    concatenated = {x.name for x in network.layers if isinstance(x, Concat)}
    return frozenset(x.name for x in network.layers if isinstance(x, Conv) and x.inputs[0] in concatenated)


def output_tensors(network: Network) -> frozenset[str]:
    """Tensors that hold the output image: the last one, and those that are only shuffled into it."""
    layers = {layer.name: layer for layer in network.layers}
    names = [network.layers[-1].name]
    while isinstance(layer := layers[names[-1]], PixelShuffle):
        names += layer.inputs
    return frozenset(names)


def resolutions(network: Network) -> dict[str, int]:
    """How many times as high and wide as the input image each tensor is."""
    found = {IMAGE: 1}
    for layer in network.layers:
        factor = layer.factor if isinstance(layer, PixelShuffle) else 1
        found[layer.name] = found[layer.inputs[0]] * factor
    return found
