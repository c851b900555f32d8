"""A build whose 16-bit codes saturate in nodes of their own, for a runtime that drops their rounding.

OpenVINO 2026.4 takes a QuantizeLinear of 16 bits and the DequantizeLinear behind it for nothing at all. Codes
saturate there, though, and where the zero point is an end of the range, that is the ReLU.
"""

import numpy as np
from onnx import ModelProto, NodeProto, helper, numpy_helper

WIDE = np.dtype(np.uint16)


def with_clips(model: ModelProto) -> ModelProto:
    """The same function with a Clip to the range of the codes ahead of every QuantizeLinear of 16 bits."""
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    clipped = ModelProto()
    clipped.CopyFrom(model)
    del clipped.graph.node[:]
    for node in model.graph.node:
        if _is_wide(node, constants):
            inside = f"{node.output[0]}.inside"
            ends = [f"{inside}.least", f"{inside}.most"]
            for name, code in zip(ends, (0, np.iinfo(WIDE).max), strict=True):
                value = (np.float32(code) - np.float32(constants[node.input[2]])) * constants[node.input[1]]
                clipped.graph.initializer.append(numpy_helper.from_array(value.reshape(()), name))
            clipped.graph.node.append(helper.make_node("Clip", [node.input[0], *ends], [inside], name=inside))
            clipped.graph.node.append(node)
            clipped.graph.node[-1].input[0] = inside
        else:
            clipped.graph.node.append(node)
    return clipped


def _is_wide(node: NodeProto, constants: dict[str, np.ndarray]) -> bool:
    return node.op_type == "QuantizeLinear" and len(node.input) > 2 and constants[node.input[2]].dtype == WIDE
