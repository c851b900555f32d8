"""An ONNX graph run node by node in torch, for targets that need no runtime of their own."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from onnx import GraphProto, NodeProto, TensorProto, helper, numpy_helper
from torch import Tensor

from edsr_int8.targets.base import Runner, Unavailable, one_line
from edsr_int8.targets.graph import attributes

# Computes one node: the node, its attributes and its inputs (None where one is left out) -> its output.
# ValueError says what it cannot do.
RunNode = Callable[[NodeProto, dict[str, Any], list[Any]], Any]

SMALL = 8  # height and width of an image on which every operation runs once


class Interpreter:
    """A graph as a function of its input; a value is released after its last consumer."""

    def __init__(self, graph: GraphProto, run_node: RunNode, *, device: str = "cpu") -> None:
        self.run_node = run_node
        self.device = device
        self.input, self.output = graph.input[0].name, graph.output[0].name
        image = graph.input[0].type.tensor_type
        self.channels = image.shape.dim[1].dim_value
        self.dtype = helper.tensor_dtype_to_np_dtype(image.elem_type)
        self.constants = {t.name: _tensor(t).to(device) for t in graph.initializer}
        last = {name: i for i, node in enumerate(graph.node) for name in node.input}
        last[self.output] = len(graph.node)
        self.nodes = [
            (node, attributes(node), [name for name in node.input if last[name] == i])
            for i, node in enumerate(graph.node)
        ]

    @torch.inference_mode()
    def __call__(self, image: np.ndarray) -> np.ndarray:
        """NCHW in and out, of the graph's types. ValueError names the first node that cannot run."""
        values: dict[str, Any] = {**self.constants, self.input: torch.from_numpy(image).to(self.device)}
        for node, options, done in self.nodes:
            inputs = [values[name] if name else None for name in node.input]
            try:
                values[node.output[0]] = self.run_node(node, options, inputs)
            except Exception as error:  # a graph that no compiler has checked leads torch anywhere
                raise ValueError(f"{node.op_type} {node.name!r}: {one_line(error)}") from None
            del inputs
            for name in done:
                values.pop(name, None)
        output = values[self.output]
        if not isinstance(output, Tensor):
            raise ValueError("its output is not quantized")
        return output.cpu().numpy()


def checked_runner(interpreter: Interpreter, what: str) -> Runner:
    """`interpreter` as a target's runner, tried on a small image first.

    Unavailable, beginning with `what`, where a node cannot run.
    """

    def run(image: np.ndarray) -> np.ndarray:
        try:
            return interpreter(image)
        except ValueError as error:
            raise Unavailable(f"{what}: {error}") from None

    run(np.zeros((1, interpreter.channels, SMALL, SMALL), interpreter.dtype))
    return run


def convolution(options: dict[str, Any]) -> dict[str, Any]:
    """Attributes of a Conv as keyword arguments of torch's conv2d. ValueError where it has none like them."""
    top, left, bottom, right = options.get("pads", [0, 0, 0, 0])
    if options.get("auto_pad", b"NOTSET") != b"NOTSET" or (top, left) != (bottom, right):
        raise ValueError("pads unevenly")
    return {
        "padding": [top, left],
        "stride": options.get("strides", [1, 1]),
        "dilation": options.get("dilations", [1, 1]),
        "groups": options.get("group", 1),
    }


def _tensor(tensor: TensorProto) -> Tensor:
    value = numpy_helper.to_array(tensor).copy()
    if tensor.data_type == TensorProto.BFLOAT16:  # a type that numpy itself has not
        return torch.from_numpy(value.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(value)
