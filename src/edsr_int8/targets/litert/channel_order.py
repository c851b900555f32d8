"""TensorFlow's DEPTH_TO_SPACE takes its channels in another order than ONNX's: the weights before it follow.

For output channel c at a row and column of the square, ONNX in mode CRD reads channel
(c * factor + row) * factor + column, TensorFlow channel (row * factor + column) * channels + c.
"""

from dataclasses import replace

import numpy as np

from edsr_int8.targets.litert.operators import Conv, Operators, Shuffle


def in_tensorflow_order(network: Operators) -> Operators:
    """The same function with the output channels of the convolution before each shuffle permuted.

    ValueError: the tensor that is shuffled comes from another operator, or is read by a second one.
    """
    orders: dict[str, np.ndarray] = {}  # tensor -> for each of our channels, the build's
    read = [tensor.name for operator in network.operators for tensor in operator.inputs]
    operators = []
    for operator in reversed(network.operators):
        name = operator.output.name
        if isinstance(operator, Shuffle):
            source = operator.inputs[0].name
            if read.count(source) > 1:
                raise ValueError(f"{source}: is shuffled, and read by another operator, too")
            orders[source] = _before(orders.get(name, np.arange(operator.output.channels)), operator.factor)
        elif name in orders:
            if not isinstance(operator, Conv):
                raise ValueError(
                    f"{name}: is shuffled, and comes from no convolution, whose channels could move"
                )
            operator = _permuted(operator, orders[name])
        operators.append(operator)
    if network.input.name in orders:
        raise ValueError(f"{network.input.name}: is shuffled, and comes from no convolution")
    return replace(network, operators=tuple(reversed(operators)))


def _before(after: np.ndarray, factor: int) -> np.ndarray:
    """The order of the channels of a shuffle's input, from that of its output."""
    squares = after[:, None] * factor**2 + np.arange(factor**2)  # ONNX's: channel, place
    return squares.T.reshape(-1)


def _permuted(conv: Conv, order: np.ndarray) -> Conv:
    scales = None if conv.weight_scales is None else conv.weight_scales[order]
    return replace(conv, weight=conv.weight[order], bias=conv.bias[order], weight_scales=scales)
