"""What an ONNX build tells before a runtime loads it: its type, its geometry and its memory."""

from dataclasses import dataclass
from math import ceil, prod
from pathlib import Path

import onnx
from onnx import ModelProto, TensorProto, helper

from edsr_int8.errors import InputError
from edsr_int8.targets.base import Capabilities, Unavailable, one_line
from edsr_int8.targets.execution.memory import activations, peak_bytes_per_pixel
from edsr_int8.targets.execution.partition import partition
from edsr_int8.targets.execution.receptive_field import receptive_fields
from edsr_int8.targets.graph import dtype


@dataclass(frozen=True)
class Subgraph:
    """Geometry and memory of a graph that runs by itself. Bytes are per pixel of its input."""

    scale: int  # output pixels per input pixel, in height and in width
    radius: int  # of the receptive field, in pixels of the input
    output_bytes: float
    bytes_per_pixel: float  # of the live activations, at the node where they are the most
    unfolded_bytes_per_pixel: float  # the same with im2col and the int32 accumulators of int8 convolutions

    def memory_per_pixel(self, target: Capabilities) -> float:
        """Bytes that a target needs to run it, per pixel of its input."""
        live = self.unfolded_bytes_per_pixel if target.unfolds else self.bytes_per_pixel
        return target.activation_factor * live


@dataclass(frozen=True)
class Build:
    path: Path
    dtype: str  # as targets/graph.py says
    whole: Subgraph
    subgraphs: tuple[Subgraph, ...]  # run one after the other; (whole,) where the build cannot be cut
    weight_bytes: int  # in memory


def read_build(path: Path) -> Build:
    """Read the build at `path`.

    InputError: `path` is no ONNX file with uint8 images in and out. Unavailable: its operations cannot
    run in tiles.
    """
    try:
        model = onnx.load(path)
    except FileNotFoundError:
        raise InputError(f"{path}: not found") from None
    except Exception as error:  # protobuf has exceptions of its own
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
    try:
        whole = _subgraph(model)
        graphs = partition(model)
        subgraphs = tuple(map(_subgraph, graphs)) if len(graphs) > 1 else (whole,)
    except (onnx.shape_inference.InferenceError, KeyError) as error:  # KeyError: a tensor without producer
        raise InputError(f"{path}: a broken graph ({one_line(error)}); build it again") from error
    except ValueError as error:
        raise Unavailable(f"{path}: {error}") from None
    return Build(path, dtype(model), whole, subgraphs, _weight_bytes(model))


def _weight_bytes(model: ModelProto) -> int:
    """In memory, wherever the file keeps them."""
    values = [a.t for node in model.graph.node if node.op_type == "Constant" for a in node.attribute]
    tensors = [*model.graph.initializer, *(value for value in values if value.dims)]
    return sum(prod(t.dims) * helper.tensor_dtype_to_np_dtype(t.data_type).itemsize for t in tensors)


def _subgraph(model: ModelProto) -> Subgraph:
    name = model.graph.output[0].name
    field = receptive_fields(model.graph)[name]
    return Subgraph(
        scale=field.scale,
        radius=ceil(field.radius),
        output_bytes=activations(model)[name].bytes_per_pixel,
        bytes_per_pixel=peak_bytes_per_pixel(model, unfold=False),
        unfolded_bytes_per_pixel=peak_bytes_per_pixel(model, unfold=True),
    )
