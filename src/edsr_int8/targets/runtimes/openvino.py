"""OpenVINO, on any of its devices."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from onnx import GraphProto

from edsr_int8.machine import cores, processor, saturates
from edsr_int8.onnx_file import read_metadata, read_onnx
from edsr_int8.targets.base import Capabilities, Runner, Unavailable, one_line
from edsr_int8.targets.figures import Arithmetic, Placement
from edsr_int8.targets.placement import placement
from edsr_int8.targets.row import TargetRow
from edsr_int8.targets.saturation import with_clips
from edsr_int8.targets.unsigned import load_unsigned, unsigned
from edsr_int8.tiling import MIB

SATURATES = (
    "openvino would add int8 products in 16 bits on this CPU, which has no VNNI: sums overflow; "
    "use onnxruntime or integer"
)
INSTALL = "openvino is not installed; pip install 'edsr-int8[openvino]'"
VIRTUAL_DEVICES = ("AUTO", "BATCH", "HETERO", "MULTI")  # they stand before a colon: MULTI:CPU,GPU
# Types of build that a device may compute in float32 all the same -> the hint, and what the device then says.
HALF_PRECISION = {"float16": ("f16", "FP16"), "bfloat16": ("bf16", "BF16")}
CAPABILITIES = Capabilities(
    dtypes=("float32", "float16", "bfloat16", "int8", "mixed"),
    dynamic_shape=True,
    overhead_bytes=140 * MIB,
    weight_factor=2.2,
    activation_factor=1.25,
)


@dataclass(frozen=True)
class OpenVino:
    row: TargetRow

    @property
    def capabilities(self) -> Capabilities:
        """What the device has: 16-bit floats where it computes in them, int8 where sums do not overflow."""
        dtypes = ["float32", *self._half_precision()]
        why_not = {
            name: f"openvino's {self._device} does not compute in {name} here" for name in HALF_PRECISION
        }
        if self._may_be_cpu and saturates():
            why_not |= dict.fromkeys(("int8", "mixed"), SATURATES)
        else:
            dtypes += ["int8", "mixed"]
        return replace(CAPABILITIES, dtypes=tuple(dtypes), why_not=why_not)

    def probe(self) -> dict[str, Any]:
        facts = {"runtime": "openvino", "version": _version(), "device": self._device}
        try:
            self._core()
            why_not = ""
        except Unavailable as error:
            why_not = str(error)
        return {**facts, "available": not why_not, "why_not": why_not, "processor": processor()}

    def load(self, model: Path, *, height: int | None = None, width: int | None = None) -> Runner:
        return _runner(self._compiled(model, height, width))

    def placement(self, model: Path, *, height: int, width: int) -> Placement:
        """Of the CPU, read off OpenVINO's runtime model; other devices report no kernels."""
        if self._device != "CPU":
            return Placement()
        graph = read_onnx(model, "quantize").graph
        facts = [op.get_rt_info() for op in self._compiled(model).get_runtime_model().get_ops()]
        layers = [{key: str(value.value) for key, value in each.items()} for each in facts]
        run = [layer for layer in layers if layer["layerType"] not in ("Const", "Input", "Output")]
        return placement(graph, _arithmetic(graph, run), partitions=1, cpu_nodes=len(run))

    def _compiled(self, model: Path, height: int | None = None, width: int | None = None) -> Any:
        core = self._core()
        try:
            graph = core.read_model(_readable(model))
            if height and width:
                graph.reshape([1, graph.input(0).partial_shape[1], height, width])
            hint, _ = HALF_PRECISION.get(read_metadata(model).get("precision", ""), ("f32", ""))
            return core.compile_model(graph, self._device, self._config(hint))
        except Exception as error:  # its exceptions share no base class
            raise Unavailable(f"openvino cannot load {model}: {one_line(error)}") from error

    @property
    def _device(self) -> str:
        return self.row.provider or "CPU"

    @property
    def _named(self) -> list[str]:
        """The devices that it may run on: GPU and CPU for AUTO:GPU,CPU; AUTO for AUTO:-GPU, all but GPU."""
        names = [re.sub(r"\(\d+\)$", "", name) for name in self._device.split(":")[-1].split(",")]
        return [name for name in names if not name.startswith("-")] or ["AUTO"]

    @property
    def _may_be_cpu(self) -> bool:
        return not {"CPU", "AUTO"}.isdisjoint(name.split(".")[0] for name in self._named)

    def _half_precision(self) -> list[str]:
        """Those of HALF_PRECISION that every device computes in; all, where `load` will say why not."""
        try:
            core = self._core()
        except Unavailable:
            return list(HALF_PRECISION)
        devices = core.available_devices if "AUTO" in self._named else self._named
        found = [core.get_property(device, "OPTIMIZATION_CAPABILITIES") for device in devices]
        return [name for name, (_, word) in HALF_PRECISION.items() if all(word in each for each in found)]

    def _config(self, hint: str) -> dict[str, Any]:
        # Without f32, a CPU with bf16 would round the activations of a float graph to 8 bits of mantissa.
        config: dict[str, Any] = {"INFERENCE_PRECISION_HINT": hint, "PERFORMANCE_HINT": "LATENCY"}
        if self._may_be_cpu:
            config["INFERENCE_NUM_THREADS"] = self.row.threads or cores()
        return config

    def _core(self) -> Any:
        try:
            import openvino
        except ImportError:
            raise Unavailable(INSTALL) from None
        core = openvino.Core()
        here = core.available_devices
        known = {"AUTO", *here, *(name.split(".")[0] for name in here)}  # GPU means GPU.0, GPU.1 and so on
        missing = [name for name in self._device.split(":")[:-1] if name not in VIRTUAL_DEVICES]
        missing += [name for name in self._named if name not in known]
        if missing:
            raise Unavailable(f"openvino finds no device {missing[0]!r}; here are {', '.join(here)}")
        return core


def _readable(model: Path) -> bytes | Path:
    """What OpenVINO computes rightly: the build, its uint8 twin, or one whose 16-bit codes are clipped."""
    if read_metadata(model).get("high_precision_dtype") != "uint16":
        return load_unsigned(model)
    return with_clips(unsigned(read_onnx(model, "quantize"))).SerializeToString(deterministic=True)


def _version() -> str:
    try:
        return version("openvino")
    except PackageNotFoundError:
        return ""


def _runner(compiled: Any) -> Runner:
    request = compiled.create_infer_request()

    def run(image: np.ndarray) -> np.ndarray:
        try:
            return request.infer([image], share_inputs=True)[0].copy()
        except Exception as error:  # as in load
            raise Unavailable(f"openvino stopped: {one_line(error)}") from error

    return run


def _arithmetic(build: GraphProto, layers: Sequence[Mapping[str, str]]) -> dict[str, Arithmetic]:
    """Of each convolution of `build`, by the kernels (brgconv_avx512_I8) of OpenVINO's `layers`.

    A layer names all that were fused into it.
    """
    found: dict[str, Arithmetic] = {}
    for layer in layers:
        if layer["layerType"] == "Convolution":
            kind: Arithmetic = "int8" if layer["primitiveType"].endswith("_I8") else "float"
            names = layer["originalLayersNames"].replace("/WithoutBiases", "").split(",")
            found |= dict.fromkeys(names, kind)
    return {node.name: found[node.name] for node in build.node if node.name in found}


def open_target(row: TargetRow) -> OpenVino:
    return OpenVino(row)
