"""What an ONNX build tells before a runtime loads it: its type, its geometry and its memory."""

from dataclasses import dataclass
from math import ceil, prod
from pathlib import Path

from onnx import ModelProto, TensorProto, helper

from edsr_int8.errors import InputError
from edsr_int8.onnx_file import read_onnx
from edsr_int8.targets.base import Capabilities, Unavailable, one_line
from edsr_int8.targets.execution.memory import PROBE, activations, peak_bytes_per_pixel
from edsr_int8.targets.execution.partition import partition
from edsr_int8.targets.execution.receptive_field import receptive_fields
from edsr_int8.targets.graph import dtype, scheme

PLANES = 3  # red, green, blue


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
    dtype: str  # as targets/graph.py says, ...
    scheme: str  # ... and so is this
    whole: Subgraph
    subgraphs: tuple[Subgraph, ...]  # run one after the other; (whole,) where the build cannot be cut
    weight_bytes: int  # in memory


def read_build(path: Path) -> Build:
    """Read the build at `path`.

    InputError: `path` is no ONNX file with uint8 RGB images in and out. Unavailable: its operations cannot
    run in tiles.
    """
    model = read_onnx(path, "quantize")
    try:
        _require_images(model)
        whole = _subgraph(model)
        _require_enlarged(model, whole.scale)
        graphs = partition(model)
        subgraphs = tuple(map(_subgraph, graphs)) if len(graphs) > 1 else (whole,)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except ValueError as error:
        raise Unavailable(f"{path}: {error}") from None
    except Exception as error:  # of shape inference; KeyError, IndexError: a graph that fits nothing
        raise InputError(f"{path}: a broken graph ({one_line(error)}); build it again") from error
    return Build(path, dtype(model), scheme(model), whole, subgraphs, _weight_bytes(model))


def _require_images(model: ModelProto) -> None:
    """InputError unless the graph takes one uint8 image of three planes, NCHW, and gives one."""
    weights = {tensor.name for tensor in model.graph.initializer}
    ends = [[v for v in model.graph.input if v.name not in weights], list(model.graph.output)]
    for what, values in zip(("takes", "gives"), ends, strict=True):
        if len(values) != 1:
            raise InputError(f"{what} {len(values)} tensors, not one image; expected a build of this project")
        kind = values[0].type.tensor_type
        lengths = [length.dim_value for length in kind.shape.dim]  # 0: any
        if len(lengths) != 4 or lengths[0] not in (0, 1) or lengths[1] != PLANES:
            found = "x".join(str(length or "?") for length in lengths) or "a number"
            raise InputError(f"{what} {found}, not images of 1x3xHxW; expected a build of this project")
        if kind.elem_type != TensorProto.UINT8:
            raise InputError(f"{what} float images; use a build with uint8 ones (uint8.onnx)")


def _require_enlarged(model: ModelProto, scale: int) -> None:
    """InputError unless the output is the image, `scale` times as high and wide."""
    found = activations(model)[model.graph.output[0].name].shape
    if found != (1, PLANES, scale * PROBE, scale * PROBE):
        raise InputError(
            f"gives {'x'.join(map(str, found))} for an image of {PROBE}x{PROBE} pixels, which is no "
            f"enlargement by {scale}; build it again"
        )


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
