"""onnxruntime, with any of its execution providers."""

import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import GraphProto, NodeProto

from edsr_int8.errors import InputError
from edsr_int8.machine import processor
from edsr_int8.onnx_file import read_onnx
from edsr_int8.onnx_session import session_options
from edsr_int8.quantization.scheme import SYMMETRIC
from edsr_int8.targets.base import Capabilities, Runner, Unavailable, one_line
from edsr_int8.targets.figures import Arithmetic, Placement
from edsr_int8.targets.graph import dtype
from edsr_int8.targets.placement import all_convolutions, placement
from edsr_int8.targets.row import TargetRow
from edsr_int8.targets.tensorrt import tensorrt_form
from edsr_int8.targets.unsigned import load_unsigned
from edsr_int8.tiling import MIB

CPU = "CPUExecutionProvider"
DEFAULT_PROVIDERS = {"onnxruntime": CPU, "tensorrt": "TensorrtExecutionProvider"}
# Left on, it rounds the weights of a convolution that a build keeps in float, if it stands between codes.
QUANTIZES_FLOAT_WEIGHTS = "WeightBiasQuantization"
HALVES = ("float16", "bfloat16")
CAPABILITIES = Capabilities(
    dtypes=("float32", "int8", "mixed"),
    dynamic_shape=True,
    overhead_bytes=100 * MIB,
    weight_factor=3.2,
    activation_factor=1.85,
    unfolds=True,
    why_not=dict.fromkeys(HALVES, "onnxruntime would compute it in float32, as fp32; use openvino or torch"),
)


@dataclass(frozen=True)
class OnnxRuntime:
    row: TargetRow

    @property
    def capabilities(self) -> Capabilities:
        """TensorRT takes every zero point for 0, with a warning at most."""
        if self._provider == CPU:
            return CAPABILITIES
        untried = f"nobody has tried builds in 16-bit floats on {self._provider}; use torch with CUDA"
        can = replace(CAPABILITIES, why_not=dict.fromkeys(HALVES, untried))
        return replace(can, schemes=SYMMETRIC) if self._provider == DEFAULT_PROVIDERS["tensorrt"] else can

    def probe(self) -> dict[str, Any]:
        facts = {
            "runtime": self.row.runtime,
            "version": version("onnxruntime"),
            "provider": self._provider,
        }
        why_not = self._missing()
        return {**facts, "available": not why_not, "why_not": why_not, "processor": processor()}

    def load(self, model: Path, *, height: int | None = None, width: int | None = None) -> Runner:
        session = self._session(model, session_options(self.row.threads, height, width))
        if session.get_providers()[0] != self._provider:  # onnxruntime falls back to the CPU without a word
            raise Unavailable(f"{self._provider} did not start; its libraries are missing or find no device")
        used = {subgraph.ep_name for subgraph in session.get_provider_graph_assignment_info()}
        if self._provider not in used:  # the measured speed would be the CPU's
            raise Unavailable(f"{self._provider} takes no node of this build; all would run on the CPU")
        session.disable_fallback()
        return _runner(session)

    def placement(self, model: Path, *, height: int, width: int) -> Placement:
        """Of the CPU's provider, read off the graph that onnxruntime optimized; others compile nodes away."""
        graph = read_onnx(model, "quantize").graph
        options = session_options(self.row.threads)
        if self._provider != CPU:
            subgraphs = self._session(model, options).get_provider_graph_assignment_info()
            rest = [len(x.get_nodes()) for x in subgraphs if x.ep_name != self._provider]
            return placement(graph, {}, partitions=len(subgraphs) - len(rest), cpu_nodes=sum(rest))
        with tempfile.TemporaryDirectory() as folder:
            options.optimized_model_filepath = f"{folder}/optimized.onnx"
            self._session(model, options)
            nodes = onnx.load(options.optimized_model_filepath).graph.node
        return placement(graph, _arithmetic(graph, nodes), partitions=1, cpu_nodes=len(nodes))

    def _session(self, model: Path, options: onnxruntime.SessionOptions) -> onnxruntime.InferenceSession:
        if why_not := self._missing():
            raise Unavailable(why_not)
        try:
            source = self._source(model)
            return onnxruntime.InferenceSession(
                source, options, providers=[self._provider], disabled_optimizers=[QUANTIZES_FLOAT_WEIGHTS]
            )
        except Exception as error:  # its exceptions share no base class
            raise Unavailable(f"onnxruntime cannot load {model}: {one_line(error)}") from error

    def _source(self, model: Path) -> bytes | Path:
        """The build as the provider takes it."""
        if self._provider == CPU:
            return load_unsigned(model)
        if (
            self._provider == DEFAULT_PROVIDERS["tensorrt"]
            and dtype(found := read_onnx(model, "quantize")) == "int8"
        ):
            return tensorrt_form(found).SerializeToString(deterministic=True)
        return model

    @property
    def _provider(self) -> str:
        return self.row.provider or DEFAULT_PROVIDERS[self.row.runtime]

    def _missing(self) -> str:
        """Why the provider is not available; '' where it is. InputError: onnxruntime knows no such name."""
        here = onnxruntime.get_available_providers()
        if self._provider in here:
            return ""
        if self._provider in onnxruntime.get_all_providers():
            return (
                f"{self._provider} is not in this build of onnxruntime, which has {', '.join(here)}; "
                "install the build that has it (for NVIDIA: onnxruntime-gpu, and for TensorRT: tensorrt)"
            )
        raise InputError(f"provider: onnxruntime knows no {self._provider!r}; here are {', '.join(here)}")


def _runner(session: onnxruntime.InferenceSession) -> Runner:
    name = session.get_inputs()[0].name

    def run(image: np.ndarray) -> np.ndarray:
        try:
            return session.run(None, {name: image})[0]
        except Exception as error:  # as in load
            raise Unavailable(f"onnxruntime stopped: {one_line(error)}") from error

    return run


def _arithmetic(build: GraphProto, optimized: Sequence[NodeProto]) -> dict[str, Arithmetic]:
    """Of each convolution of `build`; of none, where the two graphs have not as many.

    A fused convolution has the name of the one that it was made of, and a number after it. The others are
    in float: with 16-bit codes, too, onnxruntime multiplies floats.
    """
    convolutions = [node for node in optimized if node.op_type in ("Conv", "FusedConv", "QLinearConv")]
    found = all_convolutions(build, "float")
    integers = [n.name for n in convolutions if n.op_type == "QLinearConv"]
    named = {re.sub(r"_token_\d+$", "", name) for name in integers}
    if len(convolutions) != len(found) or len(named) != len(integers) or not named <= found.keys():
        return {}
    return found | dict.fromkeys(named, "int8")


def open_target(row: TargetRow) -> OnnxRuntime:
    return OnnxRuntime(row)
