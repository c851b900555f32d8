"""A build's graph as a runtime takes it: the same numbers, written another way.

A build moves codes as codes (Pad, Concat, DepthToSpace on integer tensors), which CPUs run fastest. The
compilers of NPUs want every such operation between a DequantizeLinear and a QuantizeLinear of one grid, an
older opset, one shape. None of it changes a code: (code - zero point) * scale, divided by the scale again,
is off by less than a millionth of a step.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from edsr_int8.errors import InputError
from edsr_int8.files import atomic_folder
from edsr_int8.onnx_file import read_onnx, write_onnx
from edsr_int8.onnx_graph import assemble, checked
from edsr_int8.quantization.ir.layers import IMAGE
from edsr_int8.quantization.ir.qdq_onnx import OPSET_OF_16_BITS
from edsr_int8.targets.execution.receptive_field import receptive_fields
from edsr_int8.targets.unsigned import unsigned

# Operations that put values elsewhere and compute nothing.
MOVES = frozenset({"Concat", "DepthToSpace", "Pad", "Reshape", "Slice", "Transpose"})
ROUNDING = ("QuantizeLinear", "DequantizeLinear")
MICROSOFT = "com.microsoft"
OPSETS = range(13, 22)  # the operations of our graphs mean the same in each of these
Grid = tuple[str, str]  # the constants that hold the scale and the zero point of a tensor


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


def with_closing_pad(
    nodes: Sequence[NodeProto], constants: Sequence[TensorProto], output: str
) -> tuple[list[NodeProto], list[TensorProto]]:
    """Nodes and constants with a Pad of no pixels behind an `output` that is rounded from 16 bits to 8.

    Between these two roundings onnxruntime would put a transposition bare on 16-bit codes, which the HTP
    refuses. A Pad behind them draws it there.
    """
    wide = {t.name for t in constants if t.data_type in (TensorProto.UINT16, TensorProto.INT16)}
    makers = {node.output[0]: node for node in nodes}
    last, written = makers[output], list(nodes)
    before = makers.get(last.input[0])
    if before is None or before.op_type != "DequantizeLinear" or before.input[2] not in wide:
        return written, list(constants)
    moved = NodeProto()
    moved.CopyFrom(last)
    moved.output[0] = "output.codes"
    written[written.index(last)] = moved
    more = {"output.pads": np.zeros(8, np.int64), "output.pads.value": np.uint8(0)}
    written.append(helper.make_node("Pad", [moved.output[0], *more], [output], "output.pad"))
    tensors = [numpy_helper.from_array(np.asarray(value), name) for name, value in more.items()]
    return written, [*constants, *tensors]


def wrapped(
    nodes: Sequence[NodeProto], constants: Sequence[TensorProto]
) -> tuple[list[NodeProto], list[TensorProto]]:
    """Nodes and constants with every movement of codes between DequantizeLinear and QuantizeLinear.

    ValueError where the codes that a node moves have no grid.
    """
    grids = _grids(nodes)
    values = {tensor.name: tensor for tensor in constants}
    written: list[NodeProto] = []
    for node in nodes:
        if node.op_type in MOVES and node.output[0] in grids:
            written += _between(node, grids[node.output[0]], values)
        else:
            written.append(node)
    read = {name for node in written for name in node.input}
    return written, [tensor for name, tensor in values.items() if name in read]


def _grids(nodes: Sequence[NodeProto]) -> dict[str, Grid]:
    """Quantized tensor -> its grid. What a data movement reads and writes is on one."""
    found: dict[str, Grid] = {}
    for node in nodes:
        if node.op_type in ROUNDING and len(node.input) == 3:
            name = node.output[0] if node.op_type == "QuantizeLinear" else node.input[0]
            found[name] = (node.input[1], node.input[2])
    moves = [node for node in nodes if node.op_type in MOVES]
    for node in (*moves, *reversed(moves)):
        ends = [*_moved(node), node.output[0]]
        grid = next((found[name] for name in ends if name in found), None)
        found |= dict.fromkeys(ends, grid) if grid else {}
    return found


def _moved(node: NodeProto) -> Sequence[str]:
    """The tensors that a data movement moves; its other inputs say where to."""
    return list(node.input) if node.op_type == "Concat" else [node.input[0]]


def _between(node: NodeProto, grid: Grid, values: dict[str, TensorProto]) -> Iterator[NodeProto]:
    """The node between one DequantizeLinear for each tensor that it moves and a QuantizeLinear."""
    moved = NodeProto()
    moved.CopyFrom(node)
    moved.output[0] = f"{node.name}.moved"
    for i, source in enumerate(_moved(node)):
        moved.input[i] = f"{node.name}.real{i}"
        yield helper.make_node("DequantizeLinear", [source, *grid], [moved.input[i]], moved.input[i])
    if node.op_type == "Pad":
        moved.input[2] = _real_constant(node, grid, values)
    yield moved
    yield helper.make_node("QuantizeLinear", [moved.output[0], *grid], node.output, f"{node.name}.codes")


def _real_constant(pad: NodeProto, grid: Grid, values: dict[str, TensorProto]) -> str:
    """What `pad` pads with, a code, as a real number: a new constant in `values`."""
    code, scale, zero_point = (numpy_helper.to_array(values[name]) for name in (pad.input[2], *grid))
    real = (code.astype(np.float32) - zero_point.astype(np.float32)) * scale
    name = f"{pad.name}.value.real"
    values[name] = numpy_helper.from_array(np.array(real, np.float32), name)
    return name


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


def with_image_edges(
    nodes: Sequence[NodeProto], constants: Sequence[TensorProto]
) -> tuple[list[NodeProto], list[TensorProto]]:
    """Nodes and constants of a float build with its image dequantized and quantized: scale 1, zero point 0.

    QuantizeLinear rounds halves to even and saturates, as Clip, Round and Cast together do. Other builds
    stay as they are.
    """
    by_output = {node.output[0]: node for node in nodes}
    names = ("image.cast", "output", "output.round", "output.clip")
    ends = [by_output[name] for name in names if name in by_output]
    if [node.op_type for node in ends] != ["Cast", "Cast", "Round", "Clip"]:
        return list(nodes), list(constants)
    first, last, *_, clip = ends
    grid = {"image.scale": np.float32(1), "image.zero_point": np.uint8(0)}
    written = [
        helper.make_node("DequantizeLinear", [first.input[0], *grid], first.output, first.name),
        *(node for node in nodes if node not in ends),
        helper.make_node("QuantizeLinear", [clip.input[0], *grid], last.output, last.name),
    ]
    more = [numpy_helper.from_array(np.asarray(value), name) for name, value in grid.items()]
    read = {name for node in written for name in node.input}
    return written, [tensor for tensor in (*constants, *more) if tensor.name in read]


def with_cast_edges(
    nodes: Sequence[NodeProto], constants: Sequence[TensorProto], output: str
) -> tuple[list[NodeProto], list[TensorProto]]:
    """Nodes and constants with the uint8 image cast to float at the input, and back at the output.

    The zero points of uint8 become a subtraction and an addition. ValueError where uint8 lies elsewhere.
    """
    values = {tensor.name: numpy_helper.to_array(tensor) for tensor in constants}
    makers = {node.output[0]: node for node in nodes}
    written, more = [], {}
    for node in nodes:
        zero_point = values.get(node.input[2]) if node.op_type in ROUNDING else None
        if zero_point is None or zero_point.dtype != np.uint8:
            written.append(node)
            continue
        if values[node.input[1]] != 1:
            raise ValueError(f"{node.name}: uint8 codes that are no image")
        more["image.centre"] = np.float32(zero_point)
        if node.op_type == "DequantizeLinear" and node.input[0] == IMAGE:
            written += [
                helper.make_node("Cast", [IMAGE], ["image.cast"], "image.cast", to=TensorProto.FLOAT),
                helper.make_node("Sub", ["image.cast", "image.centre"], node.output, "image.centred"),
            ]
        elif node.output[0] == output and makers[node.input[0]].op_type == "DequantizeLinear":
            written += [
                helper.make_node("Add", [node.input[0], "image.centre"], ["output.grey"], "output.grey"),
                helper.make_node("Cast", ["output.grey"], [output], "output.cast", to=TensorProto.UINT8),
            ]
        else:
            raise ValueError(f"{node.name}: uint8 codes between int8 ones")
    tensors = [numpy_helper.from_array(np.asarray(value), name) for name, value in more.items()]
    return written, [*constants, *tensors]


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
