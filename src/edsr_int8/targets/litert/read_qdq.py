"""A QDQ build -> operators on int8 codes, as TensorFlow Lite has them: nothing is quantized anew.

uint8 codes become int8 by subtracting 128 from code and zero point: the same numbers relabelled. Where a
build has high-precision layers, operators on float tensors stand between a Dequantize and a Quantize.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from onnx import GraphProto, NodeProto, ValueInfoProto, helper, numpy_helper

from edsr_int8.onnx_file import read_onnx
from edsr_int8.targets.convolutions import with_fused_relus
from edsr_int8.targets.graph import attributes, consumers
from edsr_int8.targets.litert.operators import (
    Add,
    Concat,
    Conv,
    Dequantize,
    Operator,
    Operators,
    Plane,
    Quantize,
    Shuffle,
    Tensor,
)
from edsr_int8.targets.unsigned import unsigned
from edsr_int8.targets.wrapping import wrapped

RELABEL = {np.dtype(np.uint8): 128, np.dtype(np.int8): 0}  # what to subtract from a code to get an int8 one
Grid = tuple[float, int]


def read_qdq(model: Path) -> Operators:
    """The operators of the build `model`. ValueError names the first node that TensorFlow Lite has not."""
    found = unsigned(read_onnx(model, "quantize"))
    graph = GraphProto()
    graph.CopyFrom(found.graph)
    nodes, constants = wrapped(with_fused_relus(found.graph.node), found.graph.initializer)
    del graph.node[:], graph.initializer[:]
    graph.node.extend(nodes)
    graph.initializer.extend(constants)
    reader = _Reader(graph)
    for node in graph.node:
        try:
            reader.read(node)
        except ValueError as error:
            raise ValueError(f"{node.op_type} {node.name!r}: {error}") from None
        except KeyError as error:
            raise ValueError(f"{node.op_type} {node.name!r}: cannot read {error}") from None
    return Operators(
        tuple(reader.operators),
        reader.image,
        reader.tensor(graph.output[0].name),
        *(_type(value) for value in (graph.input[0], graph.output[0])),
    )


def _type(value: ValueInfoProto) -> np.dtype:
    return np.dtype(helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type))


class _Reader:
    """`codes`: quantized tensor of the graph -> ours. `real`: float tensor -> ours, of codes or of floats."""

    def __init__(self, graph: GraphProto) -> None:
        self.constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
        self.consumers = consumers(graph)
        self.operators: list[Operator] = []
        self.weights: dict[str, tuple[np.ndarray, np.ndarray]] = {}  # dequantized constant -> codes, scales
        self.fused: set[str] = set()  # outputs of nodes that are part of an operator already made
        self.image = self._image(graph)
        self.codes: dict[str, Tensor] = {}
        self.real: dict[str, Tensor] = {}
        (self.codes if self.image.scale else self.real)[self.image.name] = self.image

    def read(self, node: NodeProto) -> None:
        """Add the operator of `node`, together with the Relu and the QuantizeLinear after it."""
        options, output = attributes(node), node.output[0]
        if output in self.fused:
            return
        match node.op_type, list(node.input):
            case "DequantizeLinear", [source, scale, *_] if source in self.constants:
                self.weights[output] = self.constants[source], self.constants[scale].reshape(-1)
            case "DequantizeLinear", [source, *_]:
                tensor = self.codes[source]
                if self._grid(node) != (tensor.scale, tensor.zero_point):
                    raise ValueError("reads codes on another grid than they were written on")
                self.real[output] = tensor
            case "QuantizeLinear", [source, *_]:
                self._quantize(self.real[source], output, *self._grid(node))
            case "Conv", [source, weight, bias]:
                self._conv(node, self.real[source], weight, bias)
            case "Add", [first, second] if {first, second} <= self.real.keys():
                terms = self.real[first], self.real[second]
                self._append(node, terms, Add, terms[0].channels, terms[0].finer)
            case "DepthToSpace", [source] if options.get("mode") == b"CRD":
                tensor, factor = self.real[source], options["blocksize"]
                channels, finer = tensor.channels // factor**2, tensor.finer * factor
                self._append(node, (tensor,), Shuffle, channels, finer, factor=factor)
            case "Concat", sources if options["axis"] in (1, -3):
                tensors = tuple(self.real[source] for source in sources)
                self._append(node, tensors, Concat, sum(t.channels for t in tensors), tensors[0].finer)
            case "Pad", [source, pads, value] if self.constants[pads].tolist() == [0, 0, 0, 0, 0, 1, 0, 0]:
                tensor = self.real[source]
                code = self._code(float(self.constants[value]), tensor)
                self._append(node, (tensor,), Plane, tensor.channels + 1, tensor.finer, code=code)
            case _:
                raise ValueError("has no form in TensorFlow Lite that this target knows")

    def _image(self, graph: GraphProto) -> Tensor:
        """The graph's input, on the grid on which it is read; where no node tells that, on that of images."""
        value = graph.input[0]
        channels = value.type.tensor_type.shape.dim[1].dim_value
        if _type(value) == np.float32:
            return Tensor(value.name, channels)
        grids = [self._grid(n) for n in self.consumers[value.name] if n.op_type == "DequantizeLinear"]
        scale, zero_point = grids[0] if grids else (1.0, -RELABEL[np.dtype(np.uint8)])
        return Tensor(value.name, channels, 1, scale, zero_point)

    def _grid(self, node: NodeProto) -> Grid:
        """Scale and int8 zero point of a QuantizeLinear or DequantizeLinear of an activation."""
        scale, zero = self.constants[node.input[1]], np.zeros((), np.uint8)
        if len(node.input) > 2:
            zero = self.constants[node.input[2]]
        if scale.size != 1 or zero.dtype not in RELABEL:
            raise ValueError(
                f"has {zero.dtype} codes with {scale.size} scales; TensorFlow Lite has int8 with one"
            )
        return float(scale.reshape(())), int(zero.reshape(())) - RELABEL[zero.dtype]

    def _conv(self, node: NodeProto, source: Tensor, weight: str, bias: str) -> None:
        options = attributes(node)
        if weight in self.weights:
            (codes, scales), (offsets, _) = self.weights[weight], self.weights[bias]
        else:
            codes, scales, offsets = self.constants[weight], None, self.constants[bias]
        halves = [length // 2 for length in codes.shape[2:]]
        same = options.get("pads", [0] * 4) == halves * 2 and all(n % 2 for n in codes.shape[2:])
        steps = [*options.get("strides", [1]), *options.get("dilations", [1]), options.get("group", 1)]
        if not same or set(steps) != {1}:
            raise ValueError("has strides, dilations, groups or another padding than half its kernel")
        if scales is not None:
            scales = np.broadcast_to(scales, codes.shape[:1])
        parts = {"layer": node.name, "weight": codes, "bias": offsets, "weight_scales": scales}
        self._append(node, (source,), Conv, codes.shape[0], source.finer, **parts)

    def _append(
        self,
        node: NodeProto,
        inputs: tuple[Tensor, ...],
        kind: type[Operator],
        channels: int,
        finer: int,
        **parts: Any,
    ) -> None:
        """Add an operator. Its output is on the grid of the QuantizeLinear after it, or float without one."""
        name = node.output[0]
        clips, rounding = self._after(name)
        quantized = (
            all(tensor.scale is not None for tensor in inputs) and parts.get("weight_scales", ()) is not None
        )
        if any(clip.op_type == "Relu" for clip in clips):
            if kind is not Conv:
                raise ValueError("is followed by a Relu; only convolutions are here")
            parts["relu"] = True
        last = [name, *(clip.output[0] for clip in clips)][-1]
        self.fused |= {clip.output[0] for clip in clips}
        if quantized and rounding is not None:
            codes = rounding.output[0]
            made = Tensor(codes, channels, finer, *self._grid(rounding))
            self._require_within(clips, made)
            self.fused.add(codes)
            self.codes[codes] = self._add(kind, inputs, made, **parts)
        elif any(clip.op_type == "Clip" for clip in clips):
            raise ValueError("is clipped, but not quantized")
        else:
            floats = tuple(map(self._as_float, inputs))
            self.real[last] = self._add(kind, floats, Tensor(last, channels, finer), **parts)

    def _after(self, name: str) -> tuple[list[NodeProto], NodeProto | None]:
        """The Relu and Clip nodes through which alone `name` is read, and the QuantizeLinear behind them."""
        clips: list[NodeProto] = []
        while len(users := self.consumers.get(name, [])) == 1:
            if users[0].op_type == "QuantizeLinear":
                return clips, users[0]
            if users[0].op_type not in ("Relu", "Clip"):
                break
            clips.append(users[0])
            name = users[0].output[0]
        return clips, None

    def _add(self, kind: type[Operator], inputs: tuple[Tensor, ...], output: Tensor, **parts: Any) -> Tensor:
        if kind in (Concat, Shuffle, Plane) and len({(t.scale, t.zero_point) for t in (*inputs, output)}) > 1:
            raise ValueError("moves codes to another grid")
        self.operators.append(kind(inputs, output, **parts))
        return output

    def _as_float(self, tensor: Tensor) -> Tensor:
        if tensor.scale is None:
            return tensor
        made = replace(tensor, name=f"{tensor.name}.float", scale=None, zero_point=0)
        if not any(operator.output == made for operator in self.operators):
            self.operators.append(Dequantize((tensor,), made))
        return made

    def _quantize(self, source: Tensor, name: str, scale: float, zero_point: int) -> None:
        """Codes of a float tensor, or codes on another grid; on the same one they are the same tensor."""
        if (source.scale, source.zero_point) == (scale, zero_point):
            self.codes[name] = source
        else:
            made = replace(source, name=name, scale=scale, zero_point=zero_point)
            self.codes[name] = self._add(Quantize, (source,), made)

    def tensor(self, name: str) -> Tensor:
        """What stands for a tensor of the graph, of codes or of floats."""
        return self.codes[name] if name in self.codes else self.real[name]

    def _code(self, value: float, tensor: Tensor) -> int:
        """The int8 code of a number on the tensor's grid."""
        if tensor.scale is None:
            raise ValueError("pads a float tensor")
        return round(value / tensor.scale) + tensor.zero_point

    def _require_within(self, clips: Sequence[NodeProto], tensor: Tensor) -> None:
        """A grid is the clip of its tensor, so it must not reach beyond a Clip; a Relu is the operator's."""
        assert tensor.scale is not None
        low, high = (tensor.scale * (code - tensor.zero_point) for code in (-128, 127))
        for clip in clips:
            if clip.op_type == "Clip":
                least, most = (float(self.constants[name]) for name in clip.input[1:])
                if low < least - tensor.scale / 2 or high > most + tensor.scale / 2:
                    raise ValueError(f"clips to {least}..{most}, its grid spans {low}..{high}")
