"""A build with int8 activations as its uint8 twin: the same codes under other names.

x86 multiplies uint8 by int8: for int8 activations its runtimes have slow kernels or none, and take float.
Every code and every zero point 128 higher is the same network, value for value.
"""

from pathlib import Path

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, numpy_helper

from edsr_int8.onnx_file import read_metadata, read_onnx
from edsr_int8.quantization.ir.grid import MIDDLE
from edsr_int8.quantization.scheme import SIGNED
from edsr_int8.targets.graph import consumers, producers, scheme


def load_unsigned(model: Path) -> bytes | Path:
    """What a runtime loads: the build `model` itself, or its uint8 twin where it has int8 activations."""
    if read_metadata(model).get("scheme") not in SIGNED:
        return model
    return unsigned(read_onnx(model, "quantize")).SerializeToString(deterministic=True)


def unsigned(model: ModelProto) -> ModelProto:
    """The uint8 twin of a build, or of a subgraph of one; `model` itself where it has no int8 activations."""
    if scheme(model) not in SIGNED:
        return model
    twin = ModelProto()
    twin.CopyFrom(model)
    graph = twin.graph
    codes = _code_constants(graph.node, {tensor.name for tensor in graph.initializer})
    for tensor in graph.initializer:
        if tensor.name in codes and tensor.data_type == TensorProto.INT8:
            value = numpy_helper.to_array(tensor).astype(np.int16) + MIDDLE
            tensor.CopyFrom(numpy_helper.from_array(value.astype(np.uint8), tensor.name))
    for value_info in (*graph.input, *graph.output, *graph.value_info):
        if value_info.type.tensor_type.elem_type == TensorProto.INT8:
            value_info.type.tensor_type.elem_type = TensorProto.UINT8
    _drop_identities(twin)
    return twin


def _code_constants(nodes: list[NodeProto], constants: set[str]) -> set[str]:
    """Zero points of activations, and the codes that images are padded with; not those of weights."""
    ends = [node for node in nodes if node.op_type in ("QuantizeLinear", "DequantizeLinear", "Pad")]
    return {node.input[2] for node in ends if node.input[0] not in constants}


def _drop_identities(model: ModelProto) -> None:
    """Take out DequantizeLinear and QuantizeLinear in a row on one grid: they change nothing."""
    graph = model.graph
    values = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    readers, makers = consumers(graph), producers(graph.node)
    ends = {value.name for value in graph.output}
    for last in [node for node in graph.node if node.op_type == "QuantizeLinear"]:
        first = makers.get(last.input[0])
        if first is None or first.op_type != "DequantizeLinear" or len(readers[last.input[0]]) != 1:
            continue
        if any(values[a] != values[b] for a, b in zip(first.input[1:], last.input[1:], strict=True)):
            continue
        old, new = last.output[0], first.input[0]
        if old in ends:  # the output keeps its name: who made the codes makes them under it
            old, new = new, old
            makers[old].output[0] = new
        for node in readers.get(old, []):
            for i, name in enumerate(node.input):
                if name == old:
                    node.input[i] = new
        graph.node.remove(first)
        graph.node.remove(last)
    read = {name for node in graph.node for name in node.input}
    unused = [tensor for tensor in graph.initializer if tensor.name not in read]
    for tensor in unused:
        graph.initializer.remove(tensor)
