"""An ONNX file -> its graph, checked: it may be damaged, or come from elsewhere. The only such reader."""

import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, StringStringEntryProto, TensorProto, helper, numpy_helper
from onnx.external_data_helper import ExternalDataInfo, load_external_data_for_tensor, uses_external_data

from edsr_int8.errors import InputError
from edsr_int8.files import atomic, require_plain
from edsr_int8.onnx_seal import drop_seal, is_as_sealed, sealed

METADATA_FIELD = ModelProto.DESCRIPTOR.fields_by_name["metadata_props"].number
LENGTH_DELIMITED = 2  # kind of a field: text, bytes or a message
MOST_NODES = 10_000  # 512 blocks, the most that a row may have, take 7,000 in int8
MOST_BYTES = 2**31  # of a protobuf message
SHOWN = 300  # characters of what ONNX's checker says
FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE)
ROUNDING = ("QuantizeLinear", "DequantizeLinear")


def read_onnx(path: Path, stage: str = "export") -> ModelProto:
    """The model in `path`, by ONNX's rules, with finite weights and scales above zero.

    InputError: it is not there (`stage` makes it), damaged, not as it was written, or larger than any EDSR.
    """
    if not path.exists():
        raise InputError(f"{path}: not found; run the {stage} stage first")
    require_plain(path)
    try:
        content = path.read_bytes()
        if not is_as_sealed(content):
            raise ValueError("its checksum tells that it is damaged, or was edited")
        model = onnx.load_from_string(content)
        drop_seal(model)
        _check_nodes(model)
        _load_external(model, path.parent)
        _check_values(model)
        return model
    except Exception as error:  # protobuf's and ONNX's exceptions share no base class
        reason = " ".join(str(error).split())[:SHOWN] or type(error).__name__
        raise InputError(
            f"{path}: not a whole ONNX file of a network ({reason}); copy it again, or run the {stage} stage"
        ) from None


def read_metadata(path: Path) -> dict[str, str]:
    """The metadata of an ONNX file, without a copy of its weights in memory; {} where it is no such file.

    A protocol buffer is a list of fields, each with a key (its number times 8, and its kind) and, of text
    and messages, a length (protobuf.dev, Encoding): those of no interest are passed over.
    """
    found = {}
    try:
        with path.open("rb") as file:
            while (key := _number(file)) is not None:
                length = _number(file) or 0
                if key & 7 == LENGTH_DELIMITED and key >> 3 == METADATA_FIELD:
                    content = file.read(length)
                    if len(content) < length:
                        return {}
                    entry = StringStringEntryProto.FromString(content)
                    found[entry.key] = entry.value
                elif key & 7 == LENGTH_DELIMITED:
                    file.seek(length, os.SEEK_CUR)
    except Exception:  # protobuf's exceptions share no base class; whoever loads the file says what is wrong
        return {}
    return found


def _number(file: BinaryIO) -> int | None:
    """The next number: 7 bits a byte, the last one without its highest bit. None at the end of the file."""
    value, shift = 0, 0
    while byte := file.read(1):
        value |= (byte[0] & 127) << shift
        if byte[0] < 128:
            return value
        shift += 7
    return None


def write_onnx(model: ModelProto, path: Path) -> None:
    """Write `model` with its checksum; equal models give equal bytes."""
    with atomic(path) as temporary:
        temporary.write_bytes(sealed(model))


def _check_nodes(model: ModelProto) -> None:
    """ValueError: a graph such as no EDSR has."""
    graph = model.graph
    if not (graph.input and graph.output and graph.node):
        raise ValueError("an empty graph, or a file cut short")
    if len(graph.node) > MOST_NODES:
        raise ValueError(f"{len(graph.node)} nodes, more than any EDSR has")
    if model.functions or graph.sparse_initializer:
        raise ValueError("functions or sparse weights, which no EDSR has")
    for node in graph.node:
        if not node.output or any(a.HasField("g") or a.graphs for a in node.attribute):
            raise ValueError(f"{node.op_type} {node.name!r} gives nothing, or has a graph of its own")
        if any(a.HasField("sparse_tensor") or a.sparse_tensors for a in node.attribute):
            raise ValueError(f"{node.op_type} {node.name!r} has sparse values, which no EDSR has")


def _load_external(model: ModelProto, folder: Path) -> None:
    """Weights in files beside the graph, which large ones have. ValueError: not as many bytes as they say."""
    total = 0
    for name, tensor in _tensors(model):
        if uses_external_data(tensor):
            length = ExternalDataInfo(tensor).length
            if length != _bytes(tensor):
                raise ValueError(f"{name}: {length} bytes in another file do not fill its shape")
            total += _bytes(tensor)
            if total > MOST_BYTES:
                raise ValueError("more bytes of weights than an ONNX file can hold")
            load_external_data_for_tensor(tensor, str(folder))
            tensor.data_location = TensorProto.DEFAULT
            del tensor.external_data[:]


def _bytes(tensor: TensorProto) -> int:
    """That its shape and type take."""
    return helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize * math.prod(tensor.dims)


def _check_values(model: ModelProto) -> None:
    """ValueError, or an exception of ONNX's checker: values that do not fit, and what breaks ONNX's rules."""
    tensors = dict(_tensors(model))
    for name, tensor in tensors.items():
        _check_tensor(name, tensor)
    onnx.checker.check_model(model)
    for node in model.graph.node:
        _check_scale(node, tensors)


def _tensors(model: ModelProto) -> Iterator[tuple[str, TensorProto]]:
    """Name -> value, of weights and of constants."""
    for tensor in model.graph.initializer:
        yield tensor.name, tensor
    for node in model.graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield node.output[0], attribute.t
            for number, tensor in enumerate(attribute.tensors):
                yield f"{node.output[0]}.{attribute.name}.{number}", tensor


def _check_tensor(name: str, tensor: TensorProto) -> None:
    """As many bytes as its shape says; and finite, where they are floats."""
    if min(tensor.dims, default=1) < 0:
        raise ValueError(f"{name}: a shape below zero")
    if tensor.HasField("raw_data") and len(tensor.raw_data) != _bytes(tensor):
        raise ValueError(f"{name}: {len(tensor.raw_data)} bytes do not fill its shape")
    if not tensor.HasField("raw_data"):
        numpy_helper.to_array(tensor)  # ValueError: fewer values than its shape says
    if tensor.data_type in FLOATS and not np.isfinite(numpy_helper.to_array(tensor).astype(np.float32)).all():
        raise ValueError(f"{name}: holds NaN or infinity")


def _check_scale(node: NodeProto, tensors: dict[str, TensorProto]) -> None:
    if node.op_type not in ROUNDING:
        return
    scale = tensors.get(node.input[1])
    if scale is None:
        raise ValueError(f"{node.op_type} {node.name!r}: its scale is no constant")
    if not (numpy_helper.to_array(scale) > 0).all():
        raise ValueError(f"{scale.name}: a scale that is not above zero")
