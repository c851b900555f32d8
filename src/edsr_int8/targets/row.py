"""A row of `targets`. It stands apart from base.py: who reads params.yaml needs no runtime's code."""

from dataclasses import dataclass, fields
from typing import Annotated, Literal, get_args

from annotated_types import Interval

from edsr_int8.errors import InputError

MOST_THREADS = 1024  # runtimes accept many more, then crash
Runtime = Literal["onnxruntime", "openvino", "integer", "torch", "tensorrt", "vacc", "litert", "qnn", "rknn"]
Rounding = Literal["", "fixed_point", "fused", "fixed_point+fused", "tflite"]
Pixels = Annotated[int, Interval(ge=1, le=8192)]
PROCESS = ("threads", "memory_budget_mb")
KEYS: dict[Runtime, tuple[str, ...]] = {  # which keys each runtime reads
    "onnxruntime": ("provider", *PROCESS),
    "openvino": ("provider", *PROCESS),
    "integer": ("rounding", *PROCESS),
    "torch": ("provider", *PROCESS),
    "tensorrt": ("provider", *PROCESS),
    "vacc": ("outputs",),
    "litert": ("provider", "tile", *PROCESS),
    "qnn": ("provider", "tile"),
    "rknn": ("python", "provider", "tile"),
}


@dataclass(frozen=True)
class TargetRow:
    """A row of `targets` in params.yaml: a runtime, and what it may use of the machine."""

    runtime: Runtime
    threads: Annotated[int, Interval(ge=0, le=MOST_THREADS)] = 0  # 0: all cores
    memory_budget_mb: Annotated[int, Interval(ge=1, le=2**22)] = 2048  # MiB of the whole process
    provider: str = ""  # execution provider or device, in the runtime's own words; '': its default
    rounding: Rounding = ""  # `integer` only: how it rounds, see integer/target.py
    tile: tuple[Pixels, Pixels] | None = None  # height and width of the one shape that it runs; None: any
    python: str = ""  # `rknn` only: the Python of the environment that has its toolkit
    outputs: str = ""  # `vacc` only: the folder with outputs copied back from an accelerator; '': run it here


def check_row(row: TargetRow) -> None:
    """InputError, beginning with the key: an unknown value, or a key that the runtime would ignore."""
    if row.runtime not in get_args(Runtime):
        raise InputError(
            f"runtime: {row.runtime!r} is unknown; known are {', '.join(sorted(get_args(Runtime)))}"
        )
    if row.rounding not in get_args(Rounding):
        raise InputError(f"rounding: {row.rounding!r} is unknown; known are {get_args(Rounding)}")
    reads = KEYS[row.runtime]
    for field in fields(row):
        if field.name not in ("runtime", *reads) and getattr(row, field.name) != field.default:
            raise InputError(
                f"{field.name}: runtime {row.runtime} ignores it; leave it out (it reads {', '.join(reads)})"
            )
