"""LiteRT (TensorFlow Lite): a build as .tflite, on its own scales, run by the interpreter on the CPU."""

from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from edsr_int8.errors import InputError
from edsr_int8.files import atomic
from edsr_int8.machine import cores, processor
from edsr_int8.onnx_file import read_onnx
from edsr_int8.targets.base import Capabilities, Runner, Unavailable, one_line
from edsr_int8.targets.figures import Arithmetic, Placement
from edsr_int8.targets.litert.channel_order import in_tensorflow_order
from edsr_int8.targets.litert.operators import Conv, Operators
from edsr_int8.targets.litert.read_qdq import read_qdq
from edsr_int8.targets.litert.vela import write_reports
from edsr_int8.targets.placement import placement
from edsr_int8.targets.row import TargetRow
from edsr_int8.tiling import MIB

INSTALL = "litert is not installed; pip install 'edsr-int8[litert]'"
# Kernels, and what the interpreter calls them (OpResolverType): XNNPACK is the default on phones; `optimized`
# goes without it; `reference` defines what an operator computes.
KERNELS = {
    "": "AUTO",
    "xnnpack": "AUTO",
    "optimized": "BUILTIN_WITHOUT_DEFAULT_DELEGATES",
    "reference": "BUILTIN_REF",
}
CAPABILITIES = Capabilities(
    dtypes=("int8", "mixed"),
    dynamic_shape=True,
    overhead_bytes=80 * MIB,
    weight_factor=6,
    activation_factor=2.6,  # 1.3 at 64 features, 2.5 at 32: XNNPACK keeps many tensors at once
    unfolds=True,
    why_not=dict.fromkeys(
        ("float32", "float16", "bfloat16"),
        "litert runs int8 and mixed builds: a .tflite is written from their codes and scales",
    ),
)
Shape = tuple[int, int]  # height, width


@dataclass(frozen=True)
class LiteRt:
    row: TargetRow

    @property
    def capabilities(self) -> Capabilities:
        slow = self.row.provider == "reference"
        return replace(CAPABILITIES, dynamic_shape=self.row.tile is None, timed_runs=1 if slow else 5)

    def probe(self) -> dict[str, Any]:
        if self.row.provider not in KERNELS:
            known = ", ".join(filter(None, KERNELS))
            raise InputError(f"provider: litert has no kernels {self.row.provider!r}; it has {known}")
        facts = {
            "runtime": "litert",
            "version": installed("ai-edge-litert"),
            "vela": installed("ethos-u-vela"),
        }
        why_not = "" if facts["version"] else INSTALL
        return {**facts, "available": not why_not, "why_not": why_not, "processor": processor()}

    def load(self, model: Path, *, height: int | None = None, width: int | None = None) -> Runner:
        shape = (height, width) if height and width else None
        network = _network(model)
        return _runner(self._interpreter(network, shape), network)

    def placement(self, model: Path, *, height: int, width: int) -> Placement:
        """By the types of what the interpreter's convolutions read: they choose its kernels."""
        network = _network(model)
        interpreter = self._interpreter(network, (height, width))
        interpreter.allocate_tensors()
        types = {tensor["index"]: tensor["dtype"] for tensor in interpreter.get_tensor_details()}
        operators = interpreter._get_ops_details()
        delegated = sum(operator["op_name"] == "DELEGATE" for operator in operators)
        read = [operator["inputs"] for operator in operators if operator["op_name"] == "CONV_2D"]
        layers = [operator.layer for operator in network.operators if isinstance(operator, Conv)]
        kinds: dict[str, Arithmetic] = {
            layer: "int8" if types[inputs[0]] == types[inputs[1]] == np.int8 else "float"
            for layer, inputs in zip(layers, read, strict=True)
        }
        graph, cpu_nodes = read_onnx(model, "quantize").graph, len(operators) - delegated
        return placement(graph, kinds, partitions=delegated or 1, cpu_nodes=cpu_nodes)

    def _interpreter(self, network: Operators, shape: Shape | None) -> Any:
        content = _written(network, shape)
        from ai_edge_litert.interpreter import Interpreter, OpResolverType

        return Interpreter(
            model_content=content,
            num_threads=self.row.threads or cores(),
            experimental_op_resolver_type=OpResolverType[KERNELS[self.row.provider]],
        )

    def compile(self, model: Path, out: Path) -> None:
        """Write `out`/model.tflite; for a row with a tile, in a form for NPUs, with Vela's report of it."""
        content = _written(_network(model), self.row.tile)
        with atomic(out / "model.tflite") as temporary:
            temporary.write_bytes(content)
        if self.row.tile and installed("ethos-u-vela"):
            write_reports(out / "model.tflite", out)


def _network(model: Path) -> Operators:
    """The build's operators. Unavailable: TensorFlow Lite has no form of one."""
    try:
        return in_tensorflow_order(read_qdq(model))
    except ValueError as error:
        raise Unavailable(f"litert cannot run {model}: {error}") from None


def _written(network: Operators, shape: Shape | None) -> bytes:
    """As .tflite, int8 NHWC in and out, for any shape; or for one, with shuffles that NPUs have."""
    try:
        from edsr_int8.targets.litert.flatbuffer import write_tflite
    except ImportError:
        raise Unavailable(INSTALL) from None
    return write_tflite(network, shape, transposed=shape is not None)


def _runner(interpreter: Any, network: Operators) -> Runner:
    (taken,), (given,) = interpreter.get_input_details(), interpreter.get_output_details()
    allocated: list[tuple[int, ...]] = []  # the shape for which tensors are allocated now

    def run(image: np.ndarray) -> np.ndarray:
        codes = np.ascontiguousarray(_relabelled(image, np.dtype(taken["dtype"])).transpose(0, 2, 3, 1))
        try:
            if allocated != [codes.shape]:
                interpreter.resize_tensor_input(taken["index"], codes.shape, strict=True)
                interpreter.allocate_tensors()
                allocated[:] = [codes.shape]
            interpreter.set_tensor(taken["index"], codes)
            interpreter.invoke()
            made = interpreter.get_tensor(given["index"])
        except (ValueError, RuntimeError) as error:
            raise Unavailable(f"litert stopped: {one_line(error)}") from error
        return _relabelled(np.ascontiguousarray(made.transpose(0, 3, 1, 2)), network.output_type)

    return run


def _relabelled(codes: np.ndarray, wanted: np.dtype) -> np.ndarray:
    """uint8 codes as int8 or back: 128 less, or more. Others as they are."""
    if codes.dtype == wanted:
        return codes
    return (codes.view(np.uint8) ^ np.uint8(128)).view(wanted)  # the highest bit


def installed(package: str) -> str:
    """The version of a package; '' where it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def open_target(row: TargetRow) -> LiteRt:
    return LiteRt(row)
