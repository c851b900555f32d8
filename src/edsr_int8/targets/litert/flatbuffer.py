"""Operators -> the bytes of a .tflite: TensorFlow Lite's schema, NHWC. Equal operators give equal bytes."""

from collections.abc import Sequence
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edsr_int8.targets.litert.operators import (
    Add,
    Concat,
    Conv,
    Dequantize,
    Operator,
    Operators,
    Plane,
    Quantize,
    Shuffle,
    Tensor,
)

FILE_IDENTIFIER = b"TFL3"
SCHEMA_VERSION = 3
OP = schema.BuiltinOperator
# The version of each operator that first took int8 (tensorflow/lite/tools/versioning/op_version.cc).
VERSIONS = {
    OP.CONV_2D: 3,
    OP.ADD: 2,
    OP.CONCATENATION: 2,
    OP.PADV2: 2,
    OP.TRANSPOSE: 2,
    OP.DEQUANTIZE: 2,
    OP.QUANTIZE: 2,
}
TYPES = {
    np.dtype(np.int8): schema.TensorType.INT8,
    np.dtype(np.int32): schema.TensorType.INT32,
    np.dtype(np.float32): schema.TensorType.FLOAT32,
}
Shape = tuple[int, int]  # height, width


def write_tflite(network: Operators, shape: Shape | None = None, *, transposed: bool = False) -> bytes:
    """A model from `network.input` to `network.output`, NHWC, for images of one shape, or of any.

    `transposed`: shuffles as RESHAPE and TRANSPOSE, for NPUs without DEPTH_TO_SPACE; it needs a shape.
    """
    writer = _Writer(shape)
    writer.tensor(network.input)
    for operator in network.operators:
        writer.add(operator, transposed=transposed)
    return writer.model(network.input, network.output)


class _Writer:
    """The parts of a model under construction. Buffer 0 is empty, as the schema wants it."""

    def __init__(self, shape: Shape | None) -> None:
        self.shape = shape
        self.buffers = [schema.BufferT()]
        self.codes: list[int] = []
        self.tensors: dict[str, schema.TensorT] = {}
        self.operators: list[schema.OperatorT] = []

    def add(self, operator: Operator, *, transposed: bool) -> None:
        inputs = [self.tensor(tensor) for tensor in operator.inputs]
        name = operator.output.name
        match operator:
            case Conv():
                options: Any = schema.Conv2DOptionsT(strideW=1, strideH=1)
                options.fusedActivationFunction = schema.ActivationFunctionType.RELU if operator.relu else 0
                inputs += self._weights(operator)
                kind = OP.CONV_2D
            case Add():
                options, kind = schema.AddOptionsT(potScaleInt16=False), OP.ADD
            case Concat():
                options, kind = schema.ConcatenationOptionsT(axis=3), OP.CONCATENATION
            case Shuffle() if transposed:
                inputs = self._transpose(operator, inputs[0])
                options, kind = schema.ReshapeOptionsT(newShape=self._lengths(operator.output)), OP.RESHAPE
            case Shuffle():
                options, kind = schema.DepthToSpaceOptionsT(blockSize=operator.factor), OP.DEPTH_TO_SPACE
            case Plane():
                pads = np.array([[0, 0], [0, 0], [0, 0], [0, 1]], np.int32)
                inputs.append(self._constant(f"{name}.pads", pads))
                value = np.array([operator.code], np.int8)
                inputs.append(self._constant(f"{name}.value", value, _grid(operator.output)))
                options, kind = schema.PadV2OptionsT(), OP.PADV2
            case Quantize():
                options, kind = schema.QuantizeOptionsT(), OP.QUANTIZE
            case Dequantize():
                options, kind = schema.DequantizeOptionsT(), OP.DEQUANTIZE
            case _:
                raise TypeError(f"{name}: {type(operator).__name__} is not written")
        self._operator(kind, inputs, self.tensor(operator.output), options)

    def tensor(self, tensor: Tensor) -> int:
        """The index of an activation, which is added where it is new."""
        return self._tensor(
            tensor.name, self._lengths(tensor), _kind(tensor), quantization=_grid(tensor), activation=True
        )

    def model(self, source: Tensor, target: Tensor) -> bytes:
        names = list(self.tensors)
        graph = schema.SubGraphT(
            tensors=list(self.tensors.values()),
            inputs=[names.index(source.name)],
            outputs=[names.index(target.name)],
            operators=self.operators,
            name="edsr",
        )
        codes = [
            schema.OperatorCodeT(deprecatedBuiltinCode=code, builtinCode=code, version=VERSIONS.get(code, 1))
            for code in self.codes
        ]
        model = schema.ModelT(SCHEMA_VERSION, codes, [graph], "edsr-int8", self.buffers)
        builder = flatbuffers.Builder(1024)
        builder.Finish(model.Pack(builder), FILE_IDENTIFIER)
        return bytes(builder.Output())

    def _lengths(self, tensor: Tensor) -> list[int]:
        height, width = self.shape or (1, 1)
        return [1, height * tensor.finer, width * tensor.finer, tensor.channels]

    def _weights(self, conv: Conv) -> list[int]:
        """OIHW -> OHWI, one scale for each output channel."""
        name, weight = conv.output.name, np.ascontiguousarray(conv.weight.transpose(0, 2, 3, 1))
        grids: list[schema.QuantizationParametersT | None] = [None, None]
        if conv.weight_scales is not None:
            source = np.float32(conv.inputs[0].scale)
            grids = [_per_channel(scales) for scales in (conv.weight_scales, conv.weight_scales * source)]
        return [
            self._constant(f"{name}.{part}", values, grid)
            for part, values, grid in zip(("weight", "bias"), (weight, conv.bias), grids, strict=True)
        ]

    def _transpose(self, shuffle: Shuffle, source: int) -> list[int]:
        """(H, W, rows, columns x C) -> (H, rows, W, columns x C): the enlarged image, but for its shape."""
        if self.shape is None:
            raise ValueError("a shuffle by transposition needs a fixed shape")
        (before,), name, factor = shuffle.inputs, shuffle.output.name, shuffle.factor
        _, height, width, channels = self._lengths(before)
        split = [height, width, factor, channels // factor]
        moved = [height, factor, width, channels // factor]
        pair = [
            self._tensor(f"{name}.{part}", lengths, _kind(before), quantization=_grid(before))
            for part, lengths in (("split", split), ("moved", moved))
        ]
        wanted = self._constant(f"{name}.split.shape", np.array(split, np.int32))
        self._operator(OP.RESHAPE, [source, wanted], pair[0], schema.ReshapeOptionsT(newShape=split))
        order = self._constant(f"{name}.order", np.array([0, 2, 1, 3], np.int32))
        self._operator(OP.TRANSPOSE, [pair[0], order], pair[1], schema.TransposeOptionsT())
        enlarged = np.array(self._lengths(shuffle.output), np.int32)
        return [pair[1], self._constant(f"{name}.shape", enlarged)]

    def _constant(
        self, name: str, values: np.ndarray, quantization: schema.QuantizationParametersT | None = None
    ) -> int:
        data = np.frombuffer(np.ascontiguousarray(values).tobytes(), np.uint8)
        self.buffers.append(schema.BufferT(data=data))
        return self._tensor(
            name, list(values.shape), values.dtype, quantization=quantization, buffer=len(self.buffers) - 1
        )

    def _tensor(
        self,
        name: str,
        lengths: Sequence[int],
        kind: np.dtype,
        *,
        quantization: schema.QuantizationParametersT | None,
        buffer: int = 0,
        activation: bool = False,
    ) -> int:
        if name not in self.tensors:
            any_shape = [1, -1, -1, lengths[-1]] if activation and self.shape is None else None
            self.tensors[name] = schema.TensorT(
                shape=list(lengths),
                type=TYPES[kind],
                buffer=buffer,
                name=name,
                quantization=quantization,
                shapeSignature=any_shape,
                hasRank=True,
            )
        return list(self.tensors).index(name)

    def _operator(self, kind: int, inputs: Sequence[int], output: int, options: Any) -> None:
        if kind not in self.codes:
            self.codes.append(kind)
        name = type(options).__name__.removesuffix("T")
        self.operators.append(
            schema.OperatorT(
                opcodeIndex=self.codes.index(kind),
                inputs=list(inputs),
                outputs=[output],
                builtinOptionsType=getattr(schema.BuiltinOptions, name),
                builtinOptions=options,
            )
        )


def _kind(tensor: Tensor) -> np.dtype:
    return np.dtype(np.float32 if tensor.scale is None else np.int8)


def _grid(tensor: Tensor) -> schema.QuantizationParametersT | None:
    if tensor.scale is None:
        return None
    return schema.QuantizationParametersT(scale=[tensor.scale], zeroPoint=[tensor.zero_point])


def _per_channel(scales: np.ndarray) -> schema.QuantizationParametersT:
    values = [float(scale) for scale in scales]
    return schema.QuantizationParametersT(scale=values, zeroPoint=[0] * len(values), quantizedDimension=0)
