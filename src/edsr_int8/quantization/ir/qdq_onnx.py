"""Layers and grids -> the int8 graph, in ONNX's QuantizeLinear / DequantizeLinear (QDQ).

Runtimes fuse DequantizeLinear, Conv, QuantizeLinear into one integer operation, so nothing is float but the
scales. Between the layers lie uint8 tensors, each named as its layer. A high-precision layer produces a
float tensor instead, or one of 16-bit codes; an int8 consumer of that tensor quantizes it first.

A signed scheme writes the same codes less 128, as int8. The image is uint8 all the same: it is dequantized
and quantized again at either end, which moves its codes by 128 and changes no value.
"""

from collections.abc import Collection, Mapping
from dataclasses import replace

import numpy as np
from onnx import ModelProto, TensorProto, ValueInfoProto, helper

from edsr_int8.onnx_graph import OPSET
from edsr_int8.quantization.ir.grid import MIDDLE, Grid
from edsr_int8.quantization.ir.grid import wide as wide_grid
from edsr_int8.quantization.ir.integer_weights import round_conv
from edsr_int8.quantization.ir.layers import (
    IMAGE,
    OUTPUT,
    Add,
    Concat,
    ConstantPlane,
    Conv,
    Layer,
    Network,
    PixelShuffle,
    Taps,
)
from edsr_int8.quantization.ir.onnx_builder import OnnxBuilder
from edsr_int8.quantization.scheme import DEFAULT, POWER_OF_TWO, SIGNED, SYMMETRIC, Scheme

OPSET_OF_16_BITS = 21  # the first whose QuantizeLinear knows uint16


def qdq_model(
    network: Network,
    grids: Mapping[str, Grid],
    metadata: Mapping[str, str],
    *,
    high_precision: Collection[str] = (),
    wide: Collection[str] = (),
    scheme: Scheme = DEFAULT,
) -> ModelProto:
    """uint8 `image` 1x3xHxW -> uint8 `output`, from a folded network and the grid of each of its tensors.

    A QuantizeLinear is also the clip of its layer: to 0..255 at the output, where it rounds half to even,
    and at zero after a Relu, but in symmetric schemes, where the Relu stands between two of them.
    ValueError where a grid reaches beyond its layer's clip, or taps are on another grid than their tensor.
    """
    graph = _Graph(grids, high_precision, wide, scheme)
    if graph.signed:
        graph.requantize_image(IMAGE, f"{IMAGE}.codes")
    for layer in network.layers:
        graph.add(layer, OUTPUT if layer is network.layers[-1] and not graph.signed else layer.name)
    if graph.signed:
        graph.requantize_image(network.layers[-1].name, OUTPUT)
    scale = int(np.prod([layer.factor for layer in network.layers if isinstance(layer, PixelShuffle)]))
    ends = [_image(IMAGE, 1)], [_image(OUTPUT, scale)]
    return graph.builder.model(*ends, metadata, opset=OPSET_OF_16_BITS if wide else OPSET)


def _image(name: str, scale: int) -> ValueInfoProto:
    lengths = [length if scale == 1 else f"{scale}*{length}" for length in ("height", "width")]
    return helper.make_tensor_value_info(name, TensorProto.UINT8, [1, 3, *lengths])


class _Graph:
    """The graph under construction, and the names under which it holds each tensor.

    `codes`: as uint8 or int8. `dequantized`: those codes as float. `unrounded`: as a high-precision layer
    made it, in float or dequantized from 16 bits. `widened`: all that are dequantized from 16 bits.
    """

    def __init__(
        self,
        grids: Mapping[str, Grid],
        high_precision: Collection[str],
        wide: Collection[str],
        scheme: Scheme,
    ) -> None:
        self.builder = OnnxBuilder()
        self.grids = grids
        self.high_precision = high_precision
        self.wide = wide
        self.signed = scheme in SIGNED
        self.symmetric = scheme in SYMMETRIC
        self.power_of_two = scheme in POWER_OF_TWO
        self.codes: dict[str, str] = {IMAGE: IMAGE}
        self.dequantized: dict[str, str] = {}
        self.unrounded: dict[str, str] = {}
        self.widened: dict[str, str] = {}

    def add(self, layer: Layer, output: str) -> None:
        """Add `layer`; its uint8 tensor, where it has one, gets the name `output`."""
        name = layer.name
        match layer:
            case Conv() if name in self.high_precision:
                made = self._float_conv(layer)
            case Conv() if self.symmetric and layer.low == 0:
                self._conv_and_relu(layer, output)
                return
            case Conv():
                made = self._conv(layer)
            case Taps():
                if self.grids[name] != Grid(layer.scale, layer.zero_point):
                    raise ValueError(f"{name}: taps are on another grid than the tensor that they join")
                made = self._conv(layer.as_conv())
            case Add():
                take = self._wide_source if name in self.wide else self._any_source
                terms = [take(source) for source in layer.inputs]
                made = self.builder.node("Add", terms, f"{name}.sum", name)
            case Concat():
                sources = [self._codes(source) for source in layer.inputs]
                self.codes[name] = self.builder.node("Concat", sources, output, name, axis=1)
                return
            case PixelShuffle():
                self._shuffle(layer, output)
                return
            case ConstantPlane():
                code = self._code(layer.value + self.grids[IMAGE].zero_point)
                self.codes[name] = self.builder.plane(layer.name, code, self.codes[IMAGE], output)
                return
            case _:
                raise TypeError(f"{name}: {type(layer).__name__} has no integer form; fold it")
        if name in self.wide:
            made = self._in_16_bits(name, made)
        if name in (*self.high_precision, *self.wide) and output != OUTPUT:
            self.unrounded[name] = made
        else:
            self._quantize(name, made, output)

    def _shuffle(self, layer: PixelShuffle, output: str) -> None:
        """Of codes where there are any: they are a quarter of the bytes to move."""
        source = layer.inputs[0]
        if source in self.codes:
            self.codes[layer.name] = self.builder.shuffle(layer, self.codes[source], output)
            return
        moved = self.builder.shuffle(layer, self.unrounded[source], f"{layer.name}.whole")
        if source in self.widened:
            moved = self._in_16_bits(layer.name, moved)
        self.unrounded[layer.name] = moved
        if output == OUTPUT:
            self._quantize(layer.name, moved, output)

    def _conv(self, layer: Conv) -> str:
        if not (self.symmetric and layer.low == 0):  # a Relu follows
            _require_within(layer, self.grids[layer.name])
        name, source = layer.name, layer.inputs[0]
        grid = wide_grid(self.grids[source]) if name in self.wide else self.grids[source]
        raised = replace(layer, bias=layer.bias + layer.offsets * self.grids[name].scale)
        rounded = round_conv(raised, grid.scale, power_of_two=self.power_of_two)
        bias_scales = rounded.scales * np.float32(grid.scale)
        weight = self._constant(f"{name}.weight", rounded.weight, rounded.scales)
        bias = self._constant(f"{name}.bias", rounded.bias, bias_scales)
        image = self._wide_source(source) if name in self.wide else self._float(source)
        return self.builder.conv(layer, [image, weight, bias], f"{name}.linear")

    def _any_source(self, name: str) -> str:
        """The tensor `name` as float, above 8 bits where it is there."""
        return self.unrounded.get(name) or self._float(name)

    def _wide_source(self, name: str) -> str:
        """The tensor `name` as float, on its 16-bit grid; where it is in 8 bits, that changes no value."""
        if name in self.unrounded:
            return self.unrounded[name]
        return self.widened.get(name) or self._in_16_bits(name, self._float(name))

    def _in_16_bits(self, name: str, real: str) -> str:
        """The float tensor `real` on the 16-bit grid of the tensor `name`."""
        grid = wide_grid(self.grids[name])
        self.widened[name] = f"{name}.wide"
        constants = [
            self.builder.constant(f"{name}.wide.scale", np.array(grid.scale, np.float32)),
            self.builder.constant(f"{name}.wide.zero_point", np.array(grid.zero_point, np.uint16)),
        ]
        codes = self.builder.node("QuantizeLinear", [real, *constants], f"{name}.wide.codes")
        return self.builder.node("DequantizeLinear", [codes, *constants], f"{name}.wide")

    def _conv_and_relu(self, layer: Conv, output: str) -> None:
        """The convolution rounded, then its Relu, on one grid: the same codes as with the rounding last.

        Runtimes fuse a convolution with the QuantizeLinear that follows it, and with a Relu between the two
        only where the zero point does the Relu's work.
        """
        name = layer.name
        linear = self._quantized(
            f"{name}.linear", self._conv(layer), f"{name}.linear.codes", self.grids[name]
        )
        inputs = [linear, *self._grid(f"{name}.linear.float", self.grids[name])]
        value = self.builder.node("DequantizeLinear", inputs, f"{name}.linear.float")
        self._quantize(name, self.builder.node("Relu", [value], f"{name}.relu"), output)

    def _float_conv(self, layer: Conv) -> str:
        """A clip from 0 to infinity is a Relu; the clip of the output image is in its QuantizeLinear."""
        name, source = layer.name, layer.inputs[0]
        constants = [
            self.builder.constant(f"{name}.{kind}", value.astype(np.float32))
            for kind, value in (("weight", layer.weight), ("bias", layer.bias))
        ]
        inputs = [self._any_source(source), *constants]
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
        """The uint8 tensor `name` as float; all consumers share one DequantizeLinear."""
        if name not in self.dequantized:
            inputs = [self._codes(name), *self._grid(f"{name}.float", self.grids[name])]
            self.dequantized[name] = self.builder.node("DequantizeLinear", inputs, f"{name}.float")
        return self.dequantized[name]

    def _codes(self, name: str) -> str:
        """The uint8 tensor `name`; that of a high-precision layer is quantized here."""
        if name not in self.codes:
            self._quantize(name, self.unrounded[name], name)
        return self.codes[name]

    def _quantize(self, name: str, source: str, output: str) -> None:
        self.codes[name] = self._quantized(name, source, output, self.grids[name])

    def _quantized(self, name: str, source: str, output: str, grid: Grid) -> str:
        inputs = [source, *self._grid(f"{name}.round", grid)]
        return self.builder.node("QuantizeLinear", inputs, output, f"{name}.round")

    def _grid(self, name: str, grid: Grid) -> list[str]:
        return [
            self.builder.constant(f"{name}.scale", np.array(grid.scale, np.float32)),
            self.builder.constant(f"{name}.zero_point", self._code(grid.zero_point)),
        ]

    def _code(self, code: int) -> np.ndarray:
        """A code 0..255 as the graph writes it."""
        return np.array(code - MIDDLE, np.int8) if self.signed else np.array(code, np.uint8)

    def requantize_image(self, source: str, output: str) -> None:
        """From uint8 codes to int8 ones at the input, and back at the output: the same values."""
        grid = self.grids[source]
        of_uint8 = [
            self.builder.constant(f"{output}.uint8.scale", np.array(grid.scale, np.float32)),
            self.builder.constant(f"{output}.uint8.zero_point", np.array(grid.zero_point, np.uint8)),
        ]
        of_int8 = self._grid(f"{output}.int8", grid)
        before, after = (of_uint8, of_int8) if source == IMAGE else (of_int8, of_uint8)
        value = self.unrounded.get(source) or self.builder.node(
            "DequantizeLinear", [self.codes[source], *before], f"{output}.value"
        )
        self.builder.node("QuantizeLinear", [value, *after], output, f"{output}.round")
        self.codes[source] = output


def _require_within(conv: Conv, grid: Grid) -> None:
    low, high = grid.range
    if low < conv.low - grid.scale / 2 or high > conv.high + grid.scale / 2:
        raise ValueError(f"{conv.name}: clips to {conv.low}..{conv.high}, its grid spans {low}..{high}")
