"""The strict-int8 graph: int8 convolutions, sums and shuffles, in ONNX's QuantizeLinear / DequantizeLinear.

Runtimes fuse DequantizeLinear, Conv, QuantizeLinear into one integer operation: nothing is float but
the scales. Between the layers lie uint8 tensors, each named as its layer.
"""

from collections.abc import Mapping

import numpy as np
from onnx import ModelProto, TensorProto, ValueInfoProto, helper

from edsr_int8.quantization.builder import Builder
from edsr_int8.quantization.network import IMAGE, OUTPUT, Conv, Layer, Network, Plane, Shuffle, Sum
from edsr_int8.quantization.ranges import Grid
from edsr_int8.quantization.weights import round_conv


def qdq_model(network: Network, grids: Mapping[str, Grid], metadata: Mapping[str, str]) -> ModelProto:
    """uint8 `image` 1x3xHxW -> uint8 `output`, from a folded network and the grid of each of its tensors.

    A QuantizeLinear is also the clip of its layer: to 0..255 at the output, where it rounds half to
    even, and at zero behind a Relu. ValueError where a grid reaches beyond its layer's clip.
    """
    graph = _Graph(grids)
    for layer in network.layers:
        graph.add(layer, OUTPUT if layer is network.layers[-1] else layer.name)
    scale = int(np.prod([layer.factor for layer in network.layers if isinstance(layer, Shuffle)]))
    return graph.builder.model([_image(IMAGE, 1)], [_image(OUTPUT, scale)], metadata)


def _image(name: str, scale: int) -> ValueInfoProto:
    lengths = [length if scale == 1 else f"{scale}*{length}" for length in ("height", "width")]
    return helper.make_tensor_value_info(name, TensorProto.UINT8, [1, 3, *lengths])


class _Graph:
    """The graph under construction, and where in it each tensor lies as float."""

    def __init__(self, grids: Mapping[str, Grid]) -> None:
        self.builder = Builder()
        self.grids = grids
        self.floats: dict[str, str] = {}

    def add(self, layer: Layer, output: str) -> None:
        """Add `layer`; its uint8 tensor gets the name `output`."""
        name = layer.name
        match layer:
            case Conv():
                _require_within(layer, self.grids[name])
                self._quantize(name, self._conv(layer), output)
            case Sum():
                terms = [self._float(source) for source in layer.inputs]
                self._quantize(name, self.builder.node("Add", terms, f"{name}.sum", name), output)
            case Shuffle():
                self.builder.shuffle(layer, layer.inputs[0], output)
            case Plane():
                self.builder.plane(layer, layer.inputs[0], output, np.dtype(np.uint8))
            case _:
                raise TypeError(f"{name}: {type(layer).__name__} has no integer form; fold it")

    def _conv(self, layer: Conv) -> str:
        name, source = layer.name, layer.inputs[0]
        rounded = round_conv(layer, self.grids[source].scale)
        bias_scales = rounded.scales * np.float32(self.grids[source].scale)
        weight = self._constant(f"{name}.weight", rounded.weight, rounded.scales)
        bias = self._constant(f"{name}.bias", rounded.bias, bias_scales)
        return self.builder.conv(layer, [self._float(source), weight, bias], f"{name}.linear")

    def _constant(self, name: str, codes: np.ndarray, scales: np.ndarray) -> str:
        """Integers as float, with one scale for each output channel."""
        inputs = [
            self.builder.constant(name, codes),
            self.builder.constant(f"{name}.scale", scales),
            self.builder.constant(f"{name}.zero_point", np.zeros(len(scales), codes.dtype)),
        ]
        return self.builder.node("DequantizeLinear", inputs, f"{name}.float", axis=0)

    def _float(self, name: str) -> str:
        """The uint8 tensor `name` as float; one DequantizeLinear serves all who read it."""
        if name not in self.floats:
            self.floats[name] = self.builder.node(
                "DequantizeLinear", [name, *self._grid(f"{name}.float", self.grids[name])], f"{name}.float"
            )
        return self.floats[name]

    def _quantize(self, name: str, source: str, output: str) -> None:
        inputs = [source, *self._grid(f"{name}.round", self.grids[name])]
        self.builder.node("QuantizeLinear", inputs, output, f"{name}.round")

    def _grid(self, name: str, grid: Grid) -> list[str]:
        return [
            self.builder.constant(f"{name}.scale", np.array(grid.scale, np.float32)),
            self.builder.constant(f"{name}.zero_point", np.array(grid.zero_point, np.uint8)),
        ]


def _require_within(conv: Conv, grid: Grid) -> None:
    low, high = (grid.scale * (code - grid.zero_point) for code in (0, 255))
    if low < conv.low - grid.scale / 2 or high > conv.high + grid.scale / 2:
        raise ValueError(f"{conv.name}: clips to {conv.low}..{conv.high}, its grid spans {low}..{high}")
