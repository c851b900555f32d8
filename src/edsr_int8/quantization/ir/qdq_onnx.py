"""The int8 graph: int8 convolutions, sums and shuffles, in ONNX's QuantizeLinear / DequantizeLinear.

Runtimes fuse DequantizeLinear, Conv, QuantizeLinear into one integer operation: nothing is float but
the scales. Between the layers lie uint8 tensors, each named as its layer. Layers that are to stay in
float give float tensors instead, and what reads one of those in int8 rounds it first.
"""

from collections.abc import Collection, Mapping

import numpy as np
from onnx import ModelProto, TensorProto, ValueInfoProto, helper

from edsr_int8.quantization.calibration.range_estimators import Grid
from edsr_int8.quantization.ir.integer_weights import round_conv
from edsr_int8.quantization.ir.layers import (
    IMAGE,
    OUTPUT,
    Conv,
    Join,
    Layer,
    Network,
    Plane,
    Shuffle,
    Sum,
    Taps,
)
from edsr_int8.quantization.ir.onnx_builder import Builder


def qdq_model(
    network: Network, grids: Mapping[str, Grid], metadata: Mapping[str, str], *, floats: Collection[str] = ()
) -> ModelProto:
    """uint8 `image` 1x3xHxW -> uint8 `output`, from a folded network and the grid of each of its tensors.

    A QuantizeLinear is also the clip of its layer: to 0..255 at the output, where it rounds half to
    even, and at zero behind a Relu. ValueError where a grid reaches beyond its layer's clip, or a
    join's inputs are on different ones.
    """
    graph = _Graph(grids, floats)
    for layer in network.layers:
        graph.add(layer, OUTPUT if layer is network.layers[-1] else layer.name)
    scale = int(np.prod([layer.factor for layer in network.layers if isinstance(layer, Shuffle)]))
    return graph.builder.model([_image(IMAGE, 1)], [_image(OUTPUT, scale)], metadata)


def _image(name: str, scale: int) -> ValueInfoProto:
    lengths = [length if scale == 1 else f"{scale}*{length}" for length in ("height", "width")]
    return helper.make_tensor_value_info(name, TensorProto.UINT8, [1, 3, *lengths])


class _Graph:
    """The graph under construction, and where in it each tensor lies: as codes, as float, as it was made."""

    def __init__(self, grids: Mapping[str, Grid], floats: Collection[str]) -> None:
        self.builder = Builder()
        self.grids = grids
        self.stay = floats
        self.codes: dict[str, str] = {IMAGE: IMAGE}
        self.floats: dict[str, str] = {}
        self.wholes: dict[str, str] = {}  # of layers that stay in float

    def add(self, layer: Layer, output: str) -> None:
        """Add `layer`; its uint8 tensor, where it has one, gets the name `output`."""
        name = layer.name
        match layer:
            case Conv():
                made = self._float_conv(layer) if name in self.stay else self._conv(layer)
            case Taps():
                made = self._conv(layer.as_conv())
            case Join():
                if len({self.grids[x] for x in layer.inputs}) > 1:
                    raise ValueError(f"{name}: its inputs are on different grids; regrid the network")
                self.codes[name] = self.builder.join(layer, [self._codes(x) for x in layer.inputs], output)
                return
            case Sum():
                terms = [self.wholes.get(source) or self._float(source) for source in layer.inputs]
                made = self.builder.node("Add", terms, f"{name}.sum", name)
            case Shuffle():
                self._shuffle(layer, output)
                return
            case Plane():
                self.codes[name] = self.builder.plane(layer, IMAGE, output, np.dtype(np.uint8))
                return
            case _:
                raise TypeError(f"{name}: {type(layer).__name__} has no integer form; fold it")
        if name in self.stay and output != OUTPUT:
            self.wholes[name] = made
        else:
            self._quantize(name, made, output)

    def _shuffle(self, layer: Shuffle, output: str) -> None:
        """Of codes where there are any: a quarter of the bytes to move."""
        source = layer.inputs[0]
        if source in self.codes:
            self.codes[layer.name] = self.builder.shuffle(layer, self.codes[source], output)
            return
        moved = self.builder.shuffle(layer, self.wholes[source], f"{layer.name}.whole")
        self.wholes[layer.name] = moved
        if output == OUTPUT:
            self._quantize(layer.name, moved, output)

    def _conv(self, layer: Conv) -> str:
        _require_within(layer, self.grids[layer.name])
        name, source = layer.name, layer.inputs[0]
        rounded = round_conv(layer, self.grids[source].scale)
        bias_scales = rounded.scales * np.float32(self.grids[source].scale)
        weight = self._constant(f"{name}.weight", rounded.weight, rounded.scales)
        bias = self._constant(f"{name}.bias", rounded.bias, bias_scales)
        return self.builder.conv(layer, [self._float(source), weight, bias], f"{name}.linear")

    def _float_conv(self, layer: Conv) -> str:
        """A layer whose clip reaches to infinity is a Relu; one that ends on the image clips by rounding."""
        name, source = layer.name, layer.inputs[0]
        constants = [
            self.builder.constant(f"{name}.{kind}", value.astype(np.float32))
            for kind, value in (("weight", layer.weight), ("bias", layer.bias))
        ]
        inputs = [self.wholes.get(source) or self._float(source), *constants]
        linear = self.builder.conv(layer, inputs, f"{name}.linear")
        return self.builder.node("Relu", [linear], f"{name}.relu") if layer.low == 0 else linear

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
            inputs = [self._codes(name), *self._grid(f"{name}.float", self.grids[name])]
            self.floats[name] = self.builder.node("DequantizeLinear", inputs, f"{name}.float")
        return self.floats[name]

    def _codes(self, name: str) -> str:
        """The uint8 tensor `name`, rounded here where its layer stays in float."""
        if name not in self.codes:
            self._quantize(name, self.wholes[name], name)
        return self.codes[name]

    def _quantize(self, name: str, source: str, output: str) -> None:
        inputs = [source, *self._grid(f"{name}.round", self.grids[name])]
        self.codes[name] = self.builder.node("QuantizeLinear", inputs, output, f"{name}.round")

    def _grid(self, name: str, grid: Grid) -> list[str]:
        return [
            self.builder.constant(f"{name}.scale", np.array(grid.scale, np.float32)),
            self.builder.constant(f"{name}.zero_point", np.array(grid.zero_point, np.uint8)),
        ]


def _require_within(conv: Conv, grid: Grid) -> None:
    low, high = (grid.scale * (code - grid.zero_point) for code in (0, 255))
    if low < conv.low - grid.scale / 2 or high > conv.high + grid.scale / 2:
        raise ValueError(f"{conv.name}: clips to {conv.low}..{conv.high}, its grid spans {low}..{high}")
