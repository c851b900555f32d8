"""A build as Rockchip's toolkit takes it, so that the integers that it compiles are the build's own.

The toolkit makes symmetric what has zero point 0: it takes the wider end of the codes' range, -128 steps, for
127 of its own, so that all weights are rounded once more, on a grid 128/127 as wide. On zero point -1 the
codes -127..127 become -128..126; both ends are 127 steps away, and the toolkit's grid is the build's.
"""

from pathlib import Path

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from edsr_int8.onnx_file import read_onnx
from edsr_int8.targets.form import Form, in_form
from edsr_int8.targets.graph import producers

OPSET = 19  # the newest that the toolkit reads
WIDE = "has activations of 16 bits, the toolkit reads those of 8; give its row high_precision_dtype: float32"
UNITY = 127  # the code of a weight of 1 on the grid 1/127
Shape = tuple[int, int]  # height, width


def rknn_form(model: Path, shape: Shape) -> ModelProto:
    """The build `model` for images of one shape, with weights on zero point -1 and no padding of channels.

    ValueError where a part of it has no such form.
    """
    build = read_onnx(model)
    if any(tensor.data_type == TensorProto.UINT16 for tensor in build.graph.initializer):
        raise ValueError(WIDE)
    written = in_form(build, Form(OPSET, shape=shape))
    _convolve_planes(written)
    _shift_weights(written)
    return written


def _shift_weights(model: ModelProto) -> None:
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "DequantizeLinear" and node.input[0] in constants:
            codes, _, zeros = (numpy_helper.to_array(constants[name]) for name in node.input)
            if codes.dtype == np.int8 and not zeros.any() and codes.min() > -128:
                _set(constants[node.input[0]], codes - 1)
                _set(constants[node.input[2]], zeros - 1)


def _convolve_planes(model: ModelProto) -> None:
    """Put a 1x1 convolution, exact in codes, for each constant plane: the NPU pads no channels."""
    graph, makers = model.graph, producers(model.graph.node)
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    nodes: list[NodeProto] = []
    for node in graph.node:
        if node.op_type != "Pad":
            nodes.append(node)
            continue
        if constants[node.input[1]].tolist() != [0, 0, 0, 0, 0, 1, 0, 0]:
            raise ValueError(f"{node.name}: pads another axis than the channels, or by more than one")
        scale = constants[makers[node.input[0]].input[1]]
        value, channels = constants[node.input[2]], _channels(model, node.input[0])
        parts = _plane(node.name, channels, float(value), float(scale))
        graph.initializer.extend(numpy_helper.from_array(part, name) for name, part in parts.items())
        nodes += _as_convolution(node)
    del graph.node[:]
    graph.node.extend(nodes)


def _channels(model: ModelProto, name: str) -> int:
    """Of a tensor whose shape is known, as all are after in_form."""
    (value,) = (value for value in model.graph.value_info if value.name == name)
    channels: int = value.type.tensor_type.shape.dim[1].dim_value
    return channels


def _plane(name: str, channels: int, value: float, scale: float) -> dict[str, np.ndarray]:
    """Weights that pass each channel on, and a bias of `value` for one more: codes, scales, zero points."""
    weight = np.zeros((channels + 1, channels, 1, 1), np.int8)
    weight[range(channels), range(channels)] = UNITY
    bias = np.zeros(channels + 1, np.int32)
    bias[-1] = round(value / scale * UNITY)
    step = np.full(channels + 1, 1 / UNITY, np.float32)
    return {
        f"{name}.weight": weight,
        f"{name}.weight.scale": step,
        f"{name}.weight.zero_point": np.zeros(channels + 1, np.int8),
        f"{name}.bias": bias,
        f"{name}.bias.scale": step * np.float32(scale),
        f"{name}.bias.zero_point": np.zeros(channels + 1, np.int32),
    }


def _as_convolution(pad: NodeProto) -> list[NodeProto]:
    nodes = []
    for part in (f"{pad.name}.weight", f"{pad.name}.bias"):
        inputs = [part, f"{part}.scale", f"{part}.zero_point"]
        nodes.append(helper.make_node("DequantizeLinear", inputs, [f"{part}.float"], f"{part}.float", axis=0))
    inputs = [pad.input[0], *(node.output[0] for node in nodes)]
    return [*nodes, helper.make_node("Conv", inputs, pad.output, pad.name)]


def _set(tensor: TensorProto, values: np.ndarray) -> None:
    tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
