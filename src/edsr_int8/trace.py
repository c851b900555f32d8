"""A network of this project -> its float ONNX graph, operation by operation as torch.fx traces it.

torch.onnx.export takes some seconds a network for the same nodes: it looks for operations that no EDSR has,
numbers the tensors, drops biases of zero and leaves traces of the machine. `export.parity` compares every
graph with the module, whoever wrote it.
"""

import operator
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import numpy as np
import torch
from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper
from torch import fx, nn

from edsr_int8.onnx_graph import assemble, checked

# What torch.fx calls an operation -> ONNX's type, and the end of the node's name.
OPERATIONS: dict[Any, tuple[str, str]] = {
    operator.add: ("Add", "add"),
    operator.sub: ("Sub", "sub"),
    operator.mul: ("Mul", "scale"),
    torch.relu: ("Relu", "relu"),
    torch.pixel_shuffle: ("DepthToSpace", "shuffle"),
    "clamp": ("Clip", "clip"),
}


def trace(module: nn.Module, metadata: Mapping[str, str]) -> ModelProto:
    """float32 `image` 1x3xHxW -> float32 `output` 1x3x(scale H)x(scale W), for any height and width.

    A convolution has its module's name (`body.0.conv1`), any other node the name of the convolution before it
    and what it does (`body.0.conv1.relu`). A tensor has the name of the node that makes it, a constant that
    of its parameter or of the first node that reads it. TypeError where the module does what no EDSR does.
    """
    graph = _Graph(module)
    for node in fx.symbolic_trace(module).graph.nodes:
        graph.add(node)
    ends = [_end("image", 1), _end("output", graph.scale)]
    return checked(assemble(graph.nodes, ends[:1], ends[1:], graph.constants(), metadata))


class _Graph:
    """The nodes of a module, added one by one, and how many times they enlarge the image."""

    def __init__(self, module: nn.Module) -> None:
        self.module, self.scale = module, 1
        self.nodes: list[NodeProto] = []
        self._scalars: dict[float, str] = {}  # value -> name
        self._tensors: dict[fx.Node, str] = {}
        self._layers: dict[
            str, tuple[int, str]
        ] = {}  # tensor -> last convolution before it: (position, name)

    def add(self, node: fx.Node) -> None:
        """Add what `node` computes; all that it reads has been added."""
        if node.op == "placeholder":
            self._tensors[node] = "image"
        elif node.op == "get_attr":
            self._tensors[node] = str(node.target)
        elif node.op == "output":
            self.nodes[-1].output[0] = "output"
        elif node.op == "call_module":
            self._convolution(node)
        else:
            self._operation(node)

    def _convolution(self, node: fx.Node) -> None:
        name = str(node.target)
        layer = self.module.get_submodule(name)
        if not isinstance(layer, nn.Conv2d) or isinstance(layer.padding, str):
            _refuse(layer)
        attributes = {
            "auto_pad": "NOTSET",
            "dilations": layer.dilation,
            "group": layer.groups,
            "kernel_shape": layer.kernel_size,
            "pads": (*layer.padding, *layer.padding),
            "strides": layer.stride,
        }
        inputs = [*self._inputs(node.args, name), f"{name}.weight", f"{name}.bias"]
        self._append(node, "Conv", name, inputs, attributes)
        self._layers[name] = (len(self.nodes), name)

    def _operation(self, node: fx.Node) -> None:
        if node.target not in OPERATIONS:
            _refuse(node.target)
        kind, suffix = OPERATIONS[node.target]
        values: list[Any] = list(node.args)
        attributes = {}
        if kind == "DepthToSpace":
            factor = values.pop()
            attributes = {"blocksize": factor, "mode": "CRD"}  # torch's order of channels
            self.scale *= factor
        read = [self._tensors[value] for value in values if value in self._tensors]
        layer = max((self._layers[tensor] for tensor in read if tensor in self._layers), default=(-1, ""))
        name = f"{suffix}_mean" if "mean" in read else f"{layer[1]}.{suffix}"
        self._append(node, kind, name, self._inputs(values, name), attributes)
        self._layers[name] = layer

    def _inputs(self, values: Sequence[Any], name: str) -> list[str]:
        """The tensors that hold `values`, results of other nodes or numbers; a new number gets a name."""
        return [
            self._tensors.get(value) or self._scalars.setdefault(float(value), f"{name}.{i}")
            for i, value in enumerate(values)
        ]

    def _append(self, made: fx.Node, kind: str, name: str, inputs: list[str], attributes: Any) -> None:
        self.nodes.append(helper.make_node(kind, inputs, [name], name, domain="", **attributes))
        self._tensors[made] = name

    def constants(self) -> list[TensorProto]:
        """What the nodes read and do not compute: parameters in the module's order, then numbers."""
        parameters = dict(self.module.named_parameters()) | dict(self.module.named_buffers())
        read = {tensor for node in self.nodes for tensor in node.input}
        arrays = {name: value.detach().numpy() for name, value in parameters.items() if name in read}
        arrays |= {name: np.array(value, np.float32) for value, name in self._scalars.items()}
        return [numpy_helper.from_array(array, name) for name, array in arrays.items()]


def _end(name: str, scale: int) -> ValueInfoProto:
    times = f"{scale}*" if scale > 1 else ""
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3, f"{times}height", f"{times}width"])


def _refuse(what: object) -> NoReturn:
    raise TypeError(f"{what}: no operation of an EDSR")
