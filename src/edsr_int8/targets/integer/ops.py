"""The operations of a QDQ graph in integer arithmetic."""

import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from onnx import GraphProto, NodeProto
from torch import Tensor
from torch.nn import functional

from edsr_int8.onnx_file import read_onnx
from edsr_int8.targets.base import Runner
from edsr_int8.targets.graph import ancestors, producers, stored_as
from edsr_int8.targets.integer.linear_combination import (
    LinearCombination,
    add,
    clip,
    concatenate,
    convolve,
    dequantize,
    pad,
    rearrange,
)
from edsr_int8.targets.integer.requantize import (
    RoundingRule,
    fixed_point_rule,
    float_rule,
    quantize,
    saturate,
    tflite_rule,
)
from edsr_int8.targets.onnx_interpreter import Interpreter, checked_runner, convolution
from edsr_int8.targets.row import Rounding
from edsr_int8.targets.unsigned import unsigned

RULES: dict[str, RoundingRule] = {"": float_rule, "fixed_point": fixed_point_rule, "tflite": tflite_rule}


def open_graph(model: Path, *, rounding: Rounding) -> Runner:
    """`model` by one of the rounding rules of target.py. Unavailable where an operation is no integer's."""
    graph = unsigned(read_onnx(model, "quantize")).graph  # as onnxruntime runs it: sums round alike
    name, plus, _ = rounding.partition("fused")
    unrounded = _fused_into_adds(graph) if plus else frozenset()
    rule = RULES[name.removesuffix("+")]
    return checked_runner(Interpreter(graph, Arithmetic(rule, unrounded)), f"integer cannot run {model}")


@dataclass(frozen=True)
class Arithmetic:
    """Computes nodes. Quantized tensors are Tensors of codes; between them are LinearCombinations."""

    rule: RoundingRule
    unrounded: frozenset[str]  # outputs of the QuantizeLinear nodes that saturate and do not round

    def __call__(
        self, node: NodeProto, options: dict[str, Any], inputs: list[Any]
    ) -> Tensor | LinearCombination:
        match node.op_type, inputs:
            case "QuantizeLinear", [LinearCombination() as value, scale, zero_point] if (
                node.output[0] in self.unrounded
            ):
                return saturate(value, scale, zero_point)
            case "DequantizeLinear", [LinearCombination() as value, *_]:  # saturated, not rounded
                return value
            case "QuantizeLinear", [LinearCombination() as value, scale, *zero]:
                [zero_point] = zero or [torch.zeros((), dtype=torch.uint8)]
                return quantize(value, scale, zero_point, self.rule)
            case "DequantizeLinear", [Tensor() as codes, scale, *zero]:
                [zero_point] = zero or [torch.zeros_like(scale, dtype=codes.dtype)]
                return dequantize(codes, scale, zero_point, axis=options.get("axis", 1))
            case "Conv", [LinearCombination() as image, LinearCombination() as weight, *bias]:
                return convolve(image, weight, *(bias or [None]), **convolution(options))
            case "Add", [LinearCombination() as first, LinearCombination() as second]:
                return add(first, second)
            case "Relu", [LinearCombination() as value]:
                return clip(value, 0, math.inf)
            case "Clip", [LinearCombination() as value, Tensor() as low, Tensor() as high]:
                return clip(value, float(low), float(high))
            case "DepthToSpace", [value] if options.get("mode") == b"CRD":
                return _moved(value, lambda t: functional.pixel_shuffle(t, options["blocksize"]))
            case "Pad", [Tensor() as codes, pads, constant] if (
                options.get("mode", b"constant") == b"constant"
            ):
                return functional.pad(codes, _pads(pads), value=int(constant))
            case "Pad", [LinearCombination() as value, pads, constant] if (
                options.get("mode", b"constant") == b"constant"
            ):
                return pad(value, _pads(pads), float(constant))
            case "Concat", values if all(isinstance(value, LinearCombination) for value in values):
                return concatenate(values, options["axis"])
            case "Concat", tensors if all(isinstance(tensor, Tensor) for tensor in tensors):
                return torch.cat(tensors, dim=options["axis"])
        raise ValueError("is no operation of an int8 accelerator, or not on quantized tensors")


def _fused_into_adds(graph: GraphProto) -> frozenset[str]:
    """Outputs of the QuantizeLinear nodes between a Conv and the Add that is its only consumer.

    At most one term of each Add, and only where nothing reads the other term later: the convolution then
    accumulates onto it in place.
    """
    stored = stored_as(graph)
    users: dict[str, set[str]] = {}  # stored tensor -> outputs of the nodes that read it, dequantized or not
    for node in graph.node:
        if node.op_type != "DequantizeLinear":
            for name in node.input:
                users.setdefault(stored.get(name, name), set()).add(node.output[0])
    makers = producers(graph.node)
    uses = Counter(name for node in graph.node for name in node.input)
    found = set()
    for node in (node for node in graph.node if node.op_type == "Add"):
        before = ancestors(node.output[0], graph.node)
        for name, other in (node.input, reversed(node.input)):
            rounded = _rounded_convolution(name, makers, uses)
            if rounded and users[stored.get(other, other)] <= before:
                found.add(rounded)
                break
    return frozenset(found)


def _rounded_convolution(name: str, makers: Mapping[str, NodeProto], uses: Mapping[str, int]) -> str:
    """The codes that become `name`, if a Conv makes them and no tensor on the way is read twice; else ''."""
    chain = []
    for op in ("DequantizeLinear", "QuantizeLinear", "Conv"):
        if name not in makers or makers[name].op_type != op or uses[name] != 1:
            return ""
        chain.append(name)
        name = makers[name].input[0]
    return chain[1]


def _pads(pads: Tensor) -> list[int]:
    """ONNX has all beginnings, then all ends; torch has both of an axis together, the last axis first."""
    begins, ends = pads.reshape(2, -1).tolist()
    return [pad for pair in zip(begins[::-1], ends[::-1], strict=True) for pad in pair]


def _moved(value: Tensor | LinearCombination, move: Callable[[Tensor], Tensor]) -> Tensor | LinearCombination:
    return move(value) if isinstance(value, Tensor) else rearrange(value, move)
