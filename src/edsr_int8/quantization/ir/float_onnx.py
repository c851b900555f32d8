"""Layers -> ONNX in float: a whole network, or a subgraph of one."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import DTypeLike
from onnx import ModelProto, helper

from edsr_int8.quantization.ir.layers import (
    Add,
    Concat,
    ConstantPlane,
    Conv,
    Gain,
    Layer,
    PixelShuffle,
    Shift,
    Taps,
)
from edsr_int8.quantization.ir.onnx_builder import OnnxBuilder


def float_model(
    layers: Sequence[Layer], inputs: Sequence[str], outputs: Sequence[str], *, dtype: DTypeLike = np.float32
) -> ModelProto:
    """A graph from `inputs` to `outputs`, named as the layers' tensors: NCHW of any height and width."""
    builder = OnnxBuilder()
    for layer in layers:
        _add(builder, layer, np.dtype(dtype))
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    shape = [1, None, None, None]
    return builder.model(
        [helper.make_tensor_value_info(name, kind, shape) for name in inputs],
        [helper.make_tensor_value_info(name, kind, shape) for name in outputs],
    )


def _add(builder: OnnxBuilder, layer: Layer, dtype: np.dtype) -> None:
    name = layer.name
    match layer:
        case Conv():
            _add_conv(builder, layer, dtype)
        case Taps():
            _add_conv(builder, layer.as_conv(), dtype)
        case Concat():
            builder.node("Concat", layer.inputs, name, axis=1)
        case Add():
            builder.node("Add", layer.inputs, name)
        case Shift() | Gain():
            by = builder.constant(f"{name}.by", layer.constant.astype(dtype).reshape(1, -1, 1, 1))
            builder.node("Add" if isinstance(layer, Shift) else "Mul", [*layer.inputs, by], name)
        case PixelShuffle():
            builder.shuffle(layer, layer.inputs[0], name)
        case ConstantPlane():
            builder.plane(name, np.array(layer.value, dtype), layer.inputs[0], name)


def _add_conv(builder: OnnxBuilder, layer: Conv, dtype: np.dtype) -> None:
    name = layer.name
    weight = builder.constant(f"{name}.weight", layer.weight.astype(dtype))
    bias = builder.constant(f"{name}.bias", layer.bias.astype(dtype))
    inputs = [*layer.inputs, weight, bias]
    if (layer.low, layer.high) == (-math.inf, math.inf):
        builder.conv(layer, inputs, name)
        return
    linear = builder.conv(layer, inputs, f"{name}.linear")
    if (layer.low, layer.high) == (0, math.inf):
        builder.node("Relu", [linear], name, f"{name}.relu")
    else:
        limits = [
            builder.constant(f"{name}.{end}", np.array(value, dtype))
            for end, value in (("low", layer.low), ("high", layer.high))
        ]
        builder.node("Clip", [linear, *limits], name, f"{name}.clip")
