"""The nodes of a QDQ graph in integer arithmetic."""

import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
import torch
from onnx import GraphProto, NodeProto
from torch import Tensor
from torch.nn import functional

from edsr_int8.targets.base import Runner
from edsr_int8.targets.execution.memory import stored_as
from edsr_int8.targets.execution.partition import leading_to
from edsr_int8.targets.integer import requantize as exact
from edsr_int8.targets.integer.requantize import Rule, Sum
from edsr_int8.targets.onnx_interpreter import Walk, checked_runner, convolution


def open_graph(model: Path, *, fixed_point: bool, fused: bool, threads: int) -> Runner:
    """Run `model` by one of the rules that integer.py names. Unavailable where it holds anything else."""
    torch.set_num_threads(threads)
    graph = onnx.load(model).graph
    unrounded = _before_sums(graph) if fused else frozenset()
    rule = exact.fixed_point_rule if fixed_point else exact.float_rule
    return checked_runner(Walk(graph, Arithmetic(rule, unrounded)), f"integer cannot run {model}")


@dataclass(frozen=True)
class Arithmetic:
    """The nodes of a QDQ graph. Quantized tensors are integer Tensors, what lies between them Sums."""

    rule: Rule
    unrounded: frozenset[str]  # outputs of the QuantizeLinear nodes that only saturate

    def __call__(self, node: NodeProto, options: dict[str, Any], inputs: list[Any]) -> Tensor | Sum:
        match node.op_type, inputs:
            case "QuantizeLinear", [Sum() as value, scale, zero_point] if node.output[0] in self.unrounded:
                return exact.saturate(value, scale, zero_point)
            case "DequantizeLinear", [Sum() as value, *_]:  # of such a one
                return value
            case "QuantizeLinear", [Sum() as value, scale, *zero]:
                [zero_point] = zero or [torch.zeros((), dtype=torch.uint8)]
                return exact.quantize(value, scale, zero_point, self.rule)
            case "DequantizeLinear", [Tensor() as codes, scale, *zero]:
                [zero_point] = zero or [torch.zeros_like(scale, dtype=codes.dtype)]
                return exact.dequantize(codes, scale, zero_point, axis=options.get("axis", 1))
            case "Conv", [Sum() as image, Sum() as weight, *bias]:
                return exact.convolve(image, weight, *(bias or [None]), **convolution(options))
            case "Add", [Sum() as first, Sum() as second]:
                return exact.add(first, second)
            case "Relu", [Sum() as value]:
                return exact.clip(value, 0, math.inf)
            case "Clip", [Sum() as value, Tensor() as low, Tensor() as high]:
                return exact.clip(value, float(low), float(high))
            case "DepthToSpace", [value] if options.get("mode") == b"CRD":
                return _moved(value, lambda t: functional.pixel_shuffle(t, options["blocksize"]))
            case "Pad", [Tensor() as codes, pads, constant] if (
                options.get("mode", b"constant") == b"constant"
            ):
                return functional.pad(codes, _pads(pads), value=int(constant))
            case "Concat", parts if all(isinstance(part, Tensor) for part in parts):
                return torch.cat(parts, dim=options["axis"])
        raise ValueError("is no operation of an int8 accelerator, or not on quantized tensors")


def _before_sums(graph: GraphProto) -> frozenset[str]:
    """Outputs of the QuantizeLinear nodes between a Conv and an Add that nothing else reads.

    One of each Add's terms at most, and only where the other is needed no more: the convolution adds to it
    in place.
    """
    stored = stored_as(graph)
    readers: dict[str, set[str]] = {}  # of each tensor, as codes or dequantized: the outputs of its readers
    for node in graph.node:
        if node.op_type != "DequantizeLinear":
            for name in node.input:
                readers.setdefault(stored.get(name, name), set()).add(node.output[0])
    makers = {node.output[0]: node for node in graph.node}
    uses = Counter(name for node in graph.node for name in node.input)
    found = set()
    for node in (node for node in graph.node if node.op_type == "Add"):
        before = leading_to(node.output[0], graph.node)
        for name, other in (node.input, reversed(node.input)):
            rounded = _rounded_convolution(name, makers, uses)
            if rounded and readers[stored.get(other, other)] <= before:
                found.add(rounded)
                break
    return frozenset(found)


def _rounded_convolution(name: str, makers: Mapping[str, NodeProto], uses: Mapping[str, int]) -> str:
    """The codes behind `name` where a Conv makes them and nothing else reads what lies between; else ''."""
    chain = []
    for op in ("DequantizeLinear", "QuantizeLinear", "Conv"):
        if name not in makers or makers[name].op_type != op or uses[name] != 1:
            return ""
        chain.append(name)
        name = makers[name].input[0]
    return chain[1]


def _pads(pads: Tensor) -> list[int]:
    """ONNX: all beginnings, then all ends; torch: beginning and end axis by axis, from the last."""
    begins, ends = pads.reshape(2, -1).tolist()
    return [pad for pair in zip(begins[::-1], ends[::-1], strict=True) for pad in pair]


def _moved(value: Tensor | Sum, move: Callable[[Tensor], Tensor]) -> Tensor | Sum:
    return move(value) if isinstance(value, Tensor) else exact.rearrange(value, move)
