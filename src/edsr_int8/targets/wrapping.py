"""Every data movement of a build between DequantizeLinear and QuantizeLinear, none bare on integers.

A build moves codes as codes, which CPUs run fastest; the compilers of NPUs want the movement on real numbers.
(code - zero point) * scale, divided by the scale again, is off by less than a millionth of a step, so no code
changes.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from onnx import NodeProto, TensorProto, helper, numpy_helper

# Operations that put values elsewhere and compute nothing.
MOVES = frozenset({"Concat", "DepthToSpace", "Pad", "Reshape", "Slice", "Transpose"})
ROUNDING = ("QuantizeLinear", "DequantizeLinear")
Grid = tuple[str, str]  # the constants that hold the scale and the zero point of a tensor


def wrapped(
    nodes: Sequence[NodeProto], constants: Sequence[TensorProto]
) -> tuple[list[NodeProto], list[TensorProto]]:
    """Nodes and constants with every movement of codes between DequantizeLinear and QuantizeLinear.

    Movements stay as they are where no node tells the grid, as those of floats.
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
