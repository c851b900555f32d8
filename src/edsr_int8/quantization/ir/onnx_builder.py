"""An ONNX graph built node by node: what the float and the int8 graph have in common."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

from edsr_int8.onnx_graph import OPSET, assemble
from edsr_int8.quantization.ir.layers import Conv, PixelShuffle


class OnnxBuilder:
    """Nodes and constants in the order in which they are added: equal calls give equal bytes."""

    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []

    def constant(self, name: str, value: np.ndarray) -> str:
        self.constants.append(numpy_helper.from_array(value, name))
        return name

    def node(self, op: str, inputs: Sequence[str], output: str, name: str = "", **attributes: Any) -> str:
        """Add a node, named as its output unless `name` is given; returns that output."""
        self.nodes.append(helper.make_node(op, inputs, [output], name or output, **attributes))
        return output

    def conv(self, layer: Conv, inputs: Sequence[str], output: str) -> str:
        height, width = layer.weight.shape[2:]
        return self.node("Conv", inputs, output, layer.name, pads=[height // 2, width // 2] * 2)

    def shuffle(self, layer: PixelShuffle, source: str, output: str) -> str:
        return self.node("DepthToSpace", [source], output, layer.name, blocksize=layer.factor, mode="CRD")

    def plane(self, name: str, value: np.ndarray, source: str, output: str) -> str:
        """Padding along the channels: the cheapest way to a constant channel of the image's shape."""
        widths = self.constant(f"{name}.pads", np.array([0, 0, 0, 0, 0, 1, 0, 0]))
        return self.node("Pad", [source, widths, self.constant(f"{name}.value", value)], output, name)

    def model(
        self,
        inputs: Sequence[ValueInfoProto],
        outputs: Sequence[ValueInfoProto],
        metadata: Mapping[str, str] | None = None,
        opset: int = OPSET,
    ) -> ModelProto:
        return assemble(self.nodes, inputs, outputs, self.constants, metadata or {}, opset=opset)
