"""torch itself: float builds, on CUDA where there is a GPU, on the CPU otherwise."""

from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from onnx import NodeProto, TensorProto
from torch.nn import functional

from edsr_int8.machine import processor
from edsr_int8.onnx_file import read_onnx
from edsr_int8.targets.base import Capabilities, Runner, Unavailable, one_line
from edsr_int8.targets.figures import Placement
from edsr_int8.targets.graph import dtype
from edsr_int8.targets.onnx_interpreter import Interpreter, RunNode, checked_runner, convolution
from edsr_int8.targets.placement import all_convolutions, placement
from edsr_int8.targets.row import TargetRow
from edsr_int8.tiling import MIB

HALF_PRECISION = {"float16": torch.float16, "bfloat16": torch.bfloat16}
CAPABILITIES = Capabilities(
    dtypes=("float32", *HALF_PRECISION),
    dynamic_shape=True,
    overhead_bytes=320 * MIB,
    weight_factor=3,
    activation_factor=2,
)


@dataclass(frozen=True)
class Torch:
    row: TargetRow

    @property
    def capabilities(self) -> Capabilities:
        if self._device.startswith("cuda"):
            return CAPABILITIES
        why_not = {
            name: f"torch computes in {name} on CUDA; this row runs on {self._device}"
            for name in HALF_PRECISION
        }
        return replace(CAPABILITIES, dtypes=("float32",), why_not=why_not)

    def probe(self) -> dict[str, Any]:
        why_not = self._missing()
        facts = {"runtime": "torch", "version": version("torch"), "device": self._device}
        return {**facts, "available": not why_not, "why_not": why_not, "processor": processor()}

    def load(self, model: Path, *, height: int | None = None, width: int | None = None) -> Runner:
        if why_not := self._missing():
            raise Unavailable(why_not)
        graph = read_onnx(model, "quantize")
        run_node = in_type(HALF_PRECISION.get(dtype(graph), torch.float32))
        interpreter = Interpreter(graph.graph, run_node, device=self._device)
        return checked_runner(interpreter, f"torch cannot run {model}")

    def placement(self, model: Path, *, height: int, width: int) -> Placement:
        """All in float, node by node."""
        graph = read_onnx(model, "quantize").graph
        cpu_nodes = len(graph.node) if self._device == "cpu" else 0
        return placement(graph, all_convolutions(graph, "float"), partitions=1, cpu_nodes=cpu_nodes)

    @property
    def _device(self) -> str:
        return self.row.provider or ("cuda" if torch.cuda.is_available() else "cpu")

    def _missing(self) -> str:
        try:
            torch.empty(0, device=self._device)
        except (RuntimeError, AssertionError) as error:  # an unknown device, or a build of torch without it
            return f"torch has no device {self._device!r}: {one_line(error)}"
        return ""


def in_type(kind: torch.dtype) -> RunNode:
    """The operations of a float graph, all values of the type `kind`."""

    def run_node(node: NodeProto, options: dict[str, Any], inputs: list[Any]) -> torch.Tensor:
        if node.op_type == "Cast" and options["to"] in (TensorProto.FLOAT, TensorProto.UINT8):
            return inputs[0].to(kind if options["to"] == TensorProto.FLOAT else torch.uint8)
        values = [x.to(kind) if x.is_floating_point() else x for x in inputs]
        return _run_node(node, options, values)

    return run_node


def _run_node(node: NodeProto, options: dict[str, Any], inputs: list[Any]) -> torch.Tensor:
    match node.op_type, inputs:
        case "Conv", [image, weight, *bias]:
            with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):  # TF32 has 10 bits of mantissa
                return functional.conv2d(image, weight, *bias, **convolution(options))
        case "Add", [first, second]:
            return first + second
        case "Sub", [first, second]:
            return first - second
        case "Mul", [first, second]:
            return first * second
        case "Relu", [value]:
            return value.relu()
        case "Clip", [value, low, high]:
            return value.clamp(low, high)
        case "Round", [value]:
            return value.round()  # halves to even, as ONNX does
        case "DepthToSpace", [value] if options.get("mode") == b"CRD":
            return functional.pixel_shuffle(value, options["blocksize"])
    raise ValueError("is no operation that this target knows")


def open_target(row: TargetRow) -> Torch:
    return Torch(row)
