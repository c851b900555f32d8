"""What a target is: something that loads an ONNX build and runs it, or says in one line why it cannot."""

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from edsr_int8.targets.row import Runtime, TargetRow, check_row

# The module of each runtime, imported only when a row asks for it: a missing runtime harms no other.
MODULES: dict[Runtime, str] = {
    "integer": "integer.target",
    "onnxruntime": "runtimes.onnxruntime",
    "openvino": "runtimes.openvino",
    "tensorrt": "runtimes.onnxruntime",  # one of its execution providers
    "torch": "runtimes.torch",
    "vacc": "vacc.target",
}


@dataclass(frozen=True)
class Capabilities:
    """What builds a target takes, and what memory it needs to run them (footprint.py)."""

    dtypes: tuple[str, ...]
    dynamic_shape: bool
    overhead_bytes: int  # of the process before it loads a build
    weight_factor: float  # memory of a loaded build over its file
    activation_factor: float  # memory of one run over the activations alive at once
    unfolds: bool = False  # its int8 convolutions unfold their input (im2col) and keep 32-bit sums
    why_not: str = ""  # why builds of another type than `dtypes` do not run; '': it is not made for them
    timed_runs: int = 10


class Unavailable(Exception):
    """The target cannot run here, or cannot run this build: one line with the remedy."""


class Runner(Protocol):
    def __call__(self, image: np.ndarray) -> np.ndarray:
        """NCHW in and out, of the graph's types: uint8 RGB of a whole build. Unavailable if it fails."""
        ...


class Target(Protocol):
    """One runtime, set up as its row says."""

    @property
    def row(self) -> TargetRow: ...

    @property
    def capabilities(self) -> Capabilities: ...

    def probe(self) -> dict[str, Any]:
        """Runtime, versions, available or why not: equal on every call, under half a second."""
        ...

    def load(self, model: Path, *, height: int | None = None, width: int | None = None) -> Runner:
        """Compile `model`, for one shape where height and width are given. Unavailable: why not."""
        ...


def open_target(row: TargetRow) -> Target:
    """The target of a row; nothing is loaded yet. InputError: see check_row."""
    check_row(row)
    module = importlib.import_module(f"edsr_int8.targets.{MODULES[row.runtime]}")
    target: Target = module.open_target(row)
    return target


def one_line(error: BaseException) -> str:
    """A runtime's own error text, which runs over many lines, as one."""
    return " ".join(str(error).split())[:300] or type(error).__name__
