"""A build in 16-bit floats: the float32 graph, with weights of half the bytes."""

from pathlib import Path
from typing import Literal

from onnx import ModelProto, TensorProto, helper, numpy_helper

from edsr_int8.onnx_file import read_onnx, write_onnx
from edsr_int8.onnx_graph import assemble, checked

FloatType = Literal["float16", "bfloat16"]


def write_half_precision(build: Path, dtype: FloatType, out: Path) -> None:
    """Write the float32 build `build` in `dtype` to `out`; equal builds give equal bytes."""
    model = with_weights_in(read_onnx(build), dtype)
    write_onnx(model, out)


def with_weights_in(model: ModelProto, dtype: FloatType) -> ModelProto:
    """The same graph with the weights and biases of convolutions stored in `dtype`, then cast to float32.

    So any runtime reads it. One that computes in `dtype`, which the metadata name as `precision`, does so.
    """
    graph, kind = model.graph, getattr(TensorProto, dtype.upper())
    weights = {name for node in graph.node if node.op_type == "Conv" for name in node.input[1:]}
    constants, casts = [], []
    for tensor in graph.initializer:
        if tensor.name not in weights:
            constants.append(tensor)
            continue
        stored = f"{tensor.name}.{dtype}"
        half = numpy_helper.to_array(tensor).astype(helper.tensor_dtype_to_np_dtype(kind))
        constants.append(numpy_helper.from_array(half, stored))
        cast = helper.make_node("Cast", [stored], [tensor.name], tensor.name, to=TensorProto.FLOAT)
        casts.append(cast)
    metadata = {entry.key: entry.value for entry in model.metadata_props} | {"precision": dtype}
    return checked(assemble([*casts, *graph.node], graph.input, graph.output, constants, metadata))
