"""A build's graph as a runtime takes it: the same numbers, written another way."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import onnx
from onnx import ModelProto, NodeProto, TensorProto, helper

from edsr_int8.errors import InputError
from edsr_int8.files import atomic_folder
from edsr_int8.onnx_file import read_onnx, write_onnx
from edsr_int8.onnx_graph import assemble, checked
from edsr_int8.quantization.ir.qdq_onnx import OPSET_OF_16_BITS
from edsr_int8.targets.convolutions import with_float_biases, with_fused_relus
from edsr_int8.targets.edges import with_cast_edges, with_image_edges
from edsr_int8.targets.execution.receptive_field import receptive_fields
from edsr_int8.targets.unsigned import unsigned
from edsr_int8.targets.wrapping import ROUNDING, with_closing_pad, wrapped

MICROSOFT = "com.microsoft"
OPSETS = range(13, 22)  # the operations of our graphs mean the same in each of these


@dataclass(frozen=True)
class Form:
    """How a runtime wants a graph written.

    `unsigned`: int8 activations as uint8 ones, 128 higher.
    `wrapped`: every data movement between DequantizeLinear and QuantizeLinear, none bare on integers.
    `fused_relu`: a Relu right after its convolution, not behind a QuantizeLinear and a DequantizeLinear.
    `image_edges`: a float build, too, takes and gives the uint8 image by these two, not by Cast and Round.
    `cast_edges`: a signed build takes and gives it by Cast, where uint8 may not be quantized.
    `float_bias`: biases in float, not as integers with scales.
    `shape`: height and width of the only image that the graph takes; None: any.
    """

    opset: int
    unsigned: bool = True
    wrapped: bool = True
    fused_relu: bool = False
    image_edges: bool = True
    cast_edges: bool = False
    float_bias: bool = False
    shape: tuple[int, int] | None = None


def save_in_form(model: Path, form: Form, out: Path) -> None:
    """Write the build `model` in `form` to `out`; equal builds give equal bytes."""
    write_onnx(in_form(read_onnx(model, "quantize"), form), out)


def write_npu(model: Path, out: Path, form: Form) -> None:
    """Write to the folder `out` the build `model` in `form`. InputError: it has no such form."""
    try:
        with atomic_folder(out) as folder:
            save_in_form(model, form, folder / "model.onnx")
    except ValueError as error:
        raise InputError(f"{model}: {error}") from None


def in_form(model: ModelProto, form: Form) -> ModelProto:
    """The same function as `model`, code by code. ValueError where a part of it has no such form."""
    if form.opset not in OPSETS:
        raise ValueError(f"opset {form.opset}: a form has one from {OPSETS[0]} to {OPSETS[-1]}")
    model = unsigned(model) if form.unsigned else model
    nodes, constants = list(model.graph.node), list(model.graph.initializer)
    if form.image_edges:
        nodes, constants = with_image_edges(nodes, constants)
    if form.cast_edges:
        nodes, constants = with_cast_edges(nodes, constants, model.graph.output[0].name)
    if form.float_bias:
        nodes, constants = with_float_biases(nodes, constants)
    if form.fused_relu:
        nodes = with_fused_relus(nodes)
    if form.wrapped:
        nodes, constants = wrapped(*with_closing_pad(nodes, constants, model.graph.output[0].name))
    read = {name for node in nodes for name in node.input}
    constants = [tensor for tensor in constants if tensor.name in read]
    if form.opset < OPSET_OF_16_BITS:
        nodes = in_microsofts_domain(nodes, constants)
    written = assemble(
        nodes,
        model.graph.input,
        model.graph.output,
        constants,
        {entry.key: entry.value for entry in model.metadata_props},
        opset=form.opset,
        ir_version=helper.find_min_ir_version_for([helper.make_opsetid("", form.opset)]),
    )
    return checked(of_shape(written, *form.shape) if form.shape else written)


def in_microsofts_domain(nodes: Sequence[NodeProto], constants: Sequence[TensorProto]) -> list[NodeProto]:
    """The nodes with QuantizeLinear and DequantizeLinear of 16 bits as onnxruntime's own operations.

    ONNX has these from opset 21 on only.
    """
    wide = {t.name for t in constants if t.data_type in (TensorProto.UINT16, TensorProto.INT16)}
    written = []
    for node in nodes:
        if node.op_type in ROUNDING and node.input[2] in wide:
            moved = NodeProto()
            moved.CopyFrom(node)
            moved.domain = MICROSOFT
            node = moved
        written.append(node)
    return written


def of_shape(model: ModelProto, height: int, width: int) -> ModelProto:
    """`model` for images of this height and width in pixels alone, with the shape of every tensor."""
    fixed = ModelProto()
    fixed.CopyFrom(model)
    image, output = fixed.graph.input[0], fixed.graph.output[0]
    scale = receptive_fields(fixed.graph)[output.name].scale
    for value, factor in ((image, 1), (output, scale)):
        for dim, length in zip(value.type.tensor_type.shape.dim[2:], (height, width), strict=True):
            dim.Clear()
            dim.dim_value = factor * length
    return onnx.shape_inference.infer_shapes(fixed, data_prop=True)
