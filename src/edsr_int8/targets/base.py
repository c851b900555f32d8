"""What a target is: it loads an ONNX build and runs it, or says in one line why it cannot."""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, get_args, runtime_checkable

import numpy as np

from edsr_int8.errors import InputError
from edsr_int8.quantization.scheme import Scheme
from edsr_int8.targets.figures import Placement
from edsr_int8.targets.row import Runtime, TargetRow, check_row

# The module of each runtime. One is imported only when a row asks for it, so a runtime that is not
# installed does not affect the others.
MODULES: dict[Runtime, str] = {
    "integer": "integer.target",
    "litert": "litert.target",
    "qnn": "qnn.target",
    "onnxruntime": "runtimes.onnxruntime",
    "openvino": "runtimes.openvino",
    "rknn": "rknn.target",
    "tensorrt": "runtimes.onnxruntime",  # one of its execution providers
    "torch": "runtimes.torch",
    "vacc": "vacc.target",
}


@dataclass(frozen=True)
class Capabilities:
    """Which builds a target runs, and how much memory they take there (used in execution/upscale.py)."""

    dtypes: tuple[str, ...]  # of float32, float16, bfloat16, int8, mixed
    dynamic_shape: bool  # runs images of any height and width
    overhead_bytes: int  # resident memory of the process before it loads a build
    weight_factor: float  # memory of a loaded build, as a multiple of its weights
    activation_factor: float  # memory of one run, as a multiple of the live activations
    unfolds: bool = False  # its int8 convolutions unfold their input (im2col) and keep int32 accumulators
    # Why it runs no builds of other types, by type; it is simply not made for those that are not there.
    why_not: Mapping[str, str] = field(default_factory=dict)
    schemes: frozenset[str] = frozenset(get_args(Scheme))  # of int8 and mixed builds that it reads rightly
    timed_runs: int = 5  # over which `time` takes the median
    seconds_per_gmac: float | None = None  # of a simulator, whose speed is not the device's; None: it is none


class Unavailable(Exception):
    """The target cannot run here, or cannot run this build. One line, with the remedy."""


class Runner(Protocol):
    def __call__(self, image: np.ndarray) -> np.ndarray:
        """NCHW in and out, of the graph's types: a whole build takes and gives uint8 RGB.

        The result belongs to the caller. Unavailable: the runtime fails.
        """
        ...


class Target(Protocol):
    """One runtime, set up as its row says."""

    @property
    def row(self) -> TargetRow: ...

    @property
    def capabilities(self) -> Capabilities: ...

    def probe(self) -> dict[str, Any]:
        """Runtime, versions, and whether it is available or why not: facts that may change its results.

        Equal on every call, in less than half a second.
        """
        ...

    def load(self, model: Path, *, height: int | None = None, width: int | None = None) -> Runner:
        """Compile `model`; for one shape, in pixels, if height and width are given. Unavailable: why not."""
        ...

    def placement(self, model: Path, *, height: int, width: int) -> Placement:
        """In which arithmetic the convolutions of `model` run, and where: what the runtime made of the build.

        Not what the build asks for: `targets/placement.py` counts what the target found. Height and width
        are those that `load` gets. Unavailable: why not.
        """
        ...


@runtime_checkable
class Compiles(Protocol):
    """A target that makes another file of a build, which is what goes onto the device."""

    def compile(self, model: Path, out: Path) -> None:
        """Write it into the folder `out`, with what is known of it. Unavailable: why not."""
        ...


def open_target(row: TargetRow) -> Target:
    """The target of a row; nothing is loaded yet. InputError: see check_row."""
    check_row(row)
    module = importlib.import_module(f"edsr_int8.targets.{MODULES[row.runtime]}")
    target: Target = module.open_target(row)
    return target


def compile_build(row: TargetRow, model: Path, out: Path) -> None:
    """Write into the folder `out` what goes onto the device of a row whose target compiles builds.

    Unavailable: why not. InputError: see check_row.
    """
    target = open_target(row)
    if not isinstance(target, Compiles):
        raise InputError(f"runtime: {row.runtime} runs builds as they are; it compiles none")
    target.compile(model, out)


def one_line(error: BaseException) -> str:
    """A runtime's error text, which may have many lines, as one of at most 300 characters."""
    return " ".join(str(error).split())[:300] or type(error).__name__
