"""What stands around a build's convolutions: the Relu behind one, the bias in it."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from onnx import NodeProto, TensorProto, numpy_helper


def with_fused_relus(nodes: Sequence[NodeProto]) -> list[NodeProto]:
    """The nodes without QuantizeLinear and DequantizeLinear between a convolution and its Relu.

    They round to the grid that is rounded to behind the Relu, so the codes stay the same.
    """
    makers = {node.output[0]: node for node in nodes}
    uses = Counter(name for node in nodes for name in node.input)
    dropped: set[str] = set()
    written = []
    for node in nodes:
        real = makers.get(node.input[0]) if node.op_type == "Relu" else None
        codes = makers.get(real.input[0]) if real and real.op_type == "DequantizeLinear" else None
        if real and codes and codes.op_type == "QuantizeLinear" and uses[real.input[0]] == 1:
            moved = NodeProto()
            moved.CopyFrom(node)
            moved.input[0] = codes.input[0]
            dropped |= {real.output[0], codes.output[0]}
            written.append(moved)
        else:
            written.append(node)
    return [node for node in written if node.output[0] not in dropped]


def with_float_biases(
    nodes: Sequence[NodeProto], constants: Sequence[TensorProto]
) -> tuple[list[NodeProto], list[TensorProto]]:
    """Nodes and constants with each bias as the float that its code and scale give."""
    values = {tensor.name: tensor for tensor in constants}
    biases = {node.input[2] for node in nodes if node.op_type == "Conv" and len(node.input) > 2}
    written = []
    for node in nodes:
        if node.op_type == "DequantizeLinear" and node.output[0] in biases:
            codes, scales = (numpy_helper.to_array(values[name]) for name in node.input[:2])
            real = (codes * scales.astype(np.float64)).astype(np.float32)
            values[node.output[0]] = numpy_helper.from_array(real, node.output[0])
        else:
            written.append(node)
    return written, list(values.values())
