"""onnxruntime, with any of its execution providers."""

from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from edsr_int8.errors import InputError
from edsr_int8.machine import processor
from edsr_int8.onnx_session import session_options
from edsr_int8.targets.base import Capabilities, Runner, Unavailable, one_line
from edsr_int8.targets.row import TargetRow
from edsr_int8.tiling import MIB

DEFAULT_PROVIDERS = {"onnxruntime": "CPUExecutionProvider", "tensorrt": "TensorrtExecutionProvider"}
CAPABILITIES = Capabilities(
    dtypes=("float32", "int8", "mixed"),
    dynamic_shape=True,
    overhead_bytes=100 * MIB,
    weight_factor=3.2,
    activation_factor=1.85,
    unfolds=True,
)


@dataclass(frozen=True)
class OnnxRuntime:
    row: TargetRow
    capabilities = CAPABILITIES

    def probe(self) -> dict[str, Any]:
        facts = {
            "runtime": self.row.runtime,
            "version": version("onnxruntime"),
            "provider": self._provider,
        }
        why_not = self._missing()
        return {**facts, "available": not why_not, "why_not": why_not, "processor": processor()}

    def load(self, model: Path, *, height: int | None = None, width: int | None = None) -> Runner:
        if why_not := self._missing():
            raise Unavailable(why_not)
        try:
            session = onnxruntime.InferenceSession(
                model, session_options(self.row.threads, height, width), providers=[self._provider]
            )
        except Exception as error:  # its exceptions share no base class
            raise Unavailable(f"onnxruntime cannot load {model}: {one_line(error)}") from error
        if session.get_providers()[0] != self._provider:  # onnxruntime falls back to the CPU without a word
            raise Unavailable(f"{self._provider} did not start; its libraries are missing or find no device")
        used = {subgraph.ep_name for subgraph in session.get_provider_graph_assignment_info()}
        if self._provider not in used:  # the measured speed would be the CPU's
            raise Unavailable(f"{self._provider} takes no node of this build; all would run on the CPU")
        session.disable_fallback()
        return _runner(session)

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


def open_target(row: TargetRow) -> OnnxRuntime:
    return OnnxRuntime(row)
