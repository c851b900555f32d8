"""TensorRT's form of a build: explicit quantization, checked node by node, and the command that compiles it.

The rules are those of NVIDIA's documentation (docs.nvidia.com/deeplearning/tensorrt: Explicit Quantization)
and of what its ONNX parser refuses: codes are int8 with zero point 0; weights have a scale for each output
channel; biases are floats, as the parser dequantizes no int32; uint8 is for images at either end alone and
is cast, not quantized; every input of a convolution and both inputs of a residual sum are dequantized; what
only moves values stands between the two, so that TensorRT may move it in int8.
"""

import shlex
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from onnx import ModelProto, NodeProto, numpy_helper

from edsr_int8.errors import InputError
from edsr_int8.files import atomic_folder, write_text
from edsr_int8.onnx_file import read_onnx, write_onnx
from edsr_int8.quantization.scheme import SYMMETRIC
from edsr_int8.targets.form import Form, in_form
from edsr_int8.targets.graph import consumers, dtype, producers, scheme
from edsr_int8.targets.wrapping import MOVES

OPSET = 17  # TensorRT 8.6 and later read it
FORM = Form(OPSET, unsigned=False, fused_relu=True, cast_edges=True, float_bias=True)
GRAPH, README = "model.onnx", "README.md"


def tensorrt_form(model: ModelProto) -> ModelProto:
    """The build `model` as TensorRT takes it. InputError: it is no strict, symmetric int8 build."""
    if dtype(model) == "int8" and scheme(model) not in SYMMETRIC:
        raise InputError(
            f"TensorRT takes zero point 0 alone, not {scheme(model)}; "
            f"quantize with scheme: {' or '.join(sorted(SYMMETRIC))}"
        )
    if dtype(model) != "int8":
        raise InputError(f"TensorRT's form is for strict int8 builds, not for {dtype(model)}")
    written = in_form(model, FORM)
    if found := list(violations(written)):
        raise InputError(f"TensorRT would not take this build: {found[0]}")
    return written


def violations(model: ModelProto) -> Iterator[str]:
    """Every node that breaks a rule, and the rule."""
    rules = _Rules(model)
    for node in model.graph.node:
        yield from (f"{node.op_type} {node.name!r}: {broken}" for broken in rules.broken(node))
    if (opset := model.opset_import[0].version) > OPSET:
        yield f"opset {opset}: at most {OPSET}"


class _Rules:
    def __init__(self, model: ModelProto) -> None:
        self.values = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
        self.makers, self.readers = producers(model.graph.node), consumers(model.graph)
        self.ends = {model.graph.input[0].name, model.graph.output[0].name}

    def broken(self, node: NodeProto) -> Iterator[str]:
        match node.op_type:
            case "QuantizeLinear" | "DequantizeLinear":
                yield from self._rounding(node)
            case "Conv":
                yield from self._convolution(node)
            case "Add" if node.input[1] not in self.values:
                if not all(self._from(name, "DequantizeLinear") for name in node.input):
                    yield "a term of the sum is not dequantized"
            case "Relu":
                if not (self._from(node.input[0], "Conv") and self._to(node.output[0], "QuantizeLinear")):
                    yield "does not stand between a convolution and its rounding"
            case "Cast":
                if not self.ends & {node.input[0], node.output[0]}:
                    yield "is at neither end"
            case "Sub" | "Add":
                pass  # of the image's centre
            case kind if kind in MOVES:
                moved = node.input if kind == "Concat" else node.input[:1]
                if not all(self._from(name, "DequantizeLinear") for name in moved):
                    yield "moves what is not dequantized"
                if not self._to(node.output[0], "QuantizeLinear"):
                    yield "is not quantized again"
            case _:
                yield "is no operation of this form"

    def _rounding(self, node: NodeProto) -> Iterator[str]:
        _, scale, zero_point = node.input
        if self.values[zero_point].dtype != np.int8 or self.values[zero_point].any():
            yield f"zero point {self.values[zero_point].dtype} {self.values[zero_point].reshape(-1)[0]}"
        if not (self.values[scale] > 0).all():
            yield "a scale that is not above zero"

    def _convolution(self, node: NodeProto) -> Iterator[str]:
        image, weight, *bias = node.input
        if not self._from(image, "DequantizeLinear"):
            yield "its image is not dequantized"
        made = self.makers.get(weight)
        if made is None or made.op_type != "DequantizeLinear" or made.input[0] not in self.values:
            yield "its weights are no codes"
        elif len(self.values[made.input[1]].reshape(-1)) != len(self.values[made.input[0]]):
            yield "its weights have no scale for each output channel"
        if any(name not in self.values or self.values[name].dtype != np.float32 for name in bias):
            yield "its bias is no float"
        if not (self._to(node.output[0], "QuantizeLinear") or self._to(node.output[0], "Relu")):
            yield "its output is not quantized"

    def _from(self, name: str, op: str) -> bool:
        return name in self.makers and self.makers[name].op_type == op

    def _to(self, name: str, op: str) -> bool:
        readers = self.readers.get(name, [])
        return bool(readers) and all(node.op_type == op for node in readers)


def write_tensorrt(model: Path, out: Path, *, height: int, width: int) -> None:
    """Write to `out` the build in TensorRT's form and a README with the command that compiles and times it.

    InputError: TensorRT would misread the build, or not take it.
    """
    written = tensorrt_form(read_onnx(model, "quantize"))
    with atomic_folder(out) as folder:
        write_onnx(written, folder / GRAPH)
        write_text(folder / README, _readme(height, width))


def trtexec_command(height: int, width: int) -> list[str]:
    """Strongly typed, TensorRT computes each layer in the type that the graph says, and no other."""
    return [
        *("trtexec", f"--onnx={GRAPH}", f"--shapes=image:1x3x{height}x{width}", "--stronglyTyped"),
        *("--saveEngine=model.engine", "--profilingVerbosity=detailed", "--dumpLayerInfo"),
    ]


def _readme(height: int, width: int) -> str:
    return f"""# An int8 build for TensorRT

{GRAPH}: uint8 RGB image `image` in, `output` out; int8 codes with zero point 0. On a machine with TensorRT:

    {shlex.join(trtexec_command(height, width))}

The layers that it lists say in which type each one runs. Other images than {height}x{width} (height x width)
need other --shapes.
"""
