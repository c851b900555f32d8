"""What there is to know of an ONNX build before a runtime loads it: its geometry and its memory."""

from dataclasses import dataclass
from math import ceil, prod
from pathlib import Path

import onnx
from onnx import ModelProto, TensorProto, helper

from edsr_int8.errors import InputError
from edsr_int8.targets.base import Capabilities, Unavailable, one_line
from edsr_int8.targets.execution.memory import activations, peak_bytes_per_pixel
from edsr_int8.targets.execution.partition import cut, reaches


@dataclass(frozen=True)
class Part:
    """A graph that runs as one."""

    scale: int
    radius: int  # receptive radius, pixels of its input
    # Bytes per pixel of its input:
    output_bytes: float
    bytes_per_pixel: float  # activations alive at once, at the worst node
    unfolded_bytes_per_pixel: float  # and what im2col and 32-bit sums of an int8 convolution take

    def memory_per_pixel(self, target: Capabilities) -> float:
        """Bytes that a target needs to run it, per pixel of its input."""
        alive = self.unfolded_bytes_per_pixel if target.unfolds else self.bytes_per_pixel
        return target.activation_factor * alive


@dataclass(frozen=True)
class Build:
    path: Path
    dtype: str  # float32 | int8 | mixed: int8 but for some layers in float
    whole: Part
    parts: tuple[Part, ...]  # which run one after the other; one that cannot be cut is one part
    weight_bytes: int


def read_build(path: Path) -> Build:
    """InputError where `path` is no ONNX file with uint8 images in and out, Unavailable where tiles fail."""
    try:
        model = onnx.load(path)
    except FileNotFoundError:
        raise InputError(f"{path}: not found") from None
    except Exception as error:  # protobuf's own
        raise InputError(
            f"{path}: not a whole ONNX file ({one_line(error)}); expected a build made by the quantize stage"
        ) from error
    if not (model.graph.input and model.graph.output):
        raise InputError(f"{path}: an empty graph, or a file cut short; copy it again")
    if any(
        end[0].type.tensor_type.elem_type != TensorProto.UINT8
        for end in (model.graph.input, model.graph.output)
    ):
        raise InputError(f"{path}: takes or gives float images; use a build with uint8 ones (uint8.onnx)")
    quantized = any(node.op_type == "QuantizeLinear" for node in model.graph.node)
    mixed = any(entry.key == "precision" and entry.value == "mixed" for entry in model.metadata_props)
    dtype = "mixed" if mixed else "int8" if quantized else "float32"
    try:
        whole = _part(model)
        parts = tuple(map(_part, cut(model) or ()))
    except (onnx.shape_inference.InferenceError, KeyError) as error:  # KeyError: a tensor that nothing makes
        raise InputError(f"{path}: a broken graph ({one_line(error)}); build it again") from error
    except ValueError as error:
        raise Unavailable(f"{path}: {error}") from None
    return Build(path, dtype, whole, parts or (whole,), _weight_bytes(model))


def _weight_bytes(model: ModelProto) -> int:
    """In memory, wherever the file keeps them."""
    values = [a.t for node in model.graph.node if node.op_type == "Constant" for a in node.attribute]
    tensors = [*model.graph.initializer, *(value for value in values if value.dims)]
    return sum(prod(t.dims) * helper.tensor_dtype_to_np_dtype(t.data_type).itemsize for t in tensors)


def _part(model: ModelProto) -> Part:
    name = model.graph.output[0].name
    reach = reaches(model.graph)[name]
    return Part(
        scale=reach.scale,
        radius=ceil(reach.radius),
        output_bytes=activations(model)[name].bytes_per_pixel,
        bytes_per_pixel=peak_bytes_per_pixel(model, unfold=False),
        unfolded_bytes_per_pixel=peak_bytes_per_pixel(model, unfold=True),
    )
