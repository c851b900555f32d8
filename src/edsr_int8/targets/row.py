"""A row of `targets`, apart from base.py: reading params.yaml depends on no runtime's code."""

from dataclasses import dataclass, fields
from typing import Annotated, Literal, get_args

from annotated_types import Ge, Interval

from edsr_int8.errors import InputError

MOST_THREADS = 1024  # runtimes accept many more and crash
Runtime = Literal["onnxruntime", "openvino", "integer", "torch", "tensorrt", "vacc"]
Rounding = Literal["", "fixed_point", "fused", "fixed_point+fused"]
PROCESS = ("threads", "memory_budget_mb")
KEYS: dict[Runtime, tuple[str, ...]] = {  # what each runtime reads beside its name
    "onnxruntime": ("provider", *PROCESS),
    "openvino": ("provider", *PROCESS),
    "integer": ("rounding", *PROCESS),
    "torch": ("provider", *PROCESS),
    "tensorrt": ("provider", *PROCESS),
    "vacc": ("outputs",),
}


@dataclass(frozen=True)
class TargetRow:
    """A row of `targets` in params.yaml: a runtime and what it may use."""

    runtime: Runtime
    threads: Annotated[int, Interval(ge=0, le=MOST_THREADS)] = 0  # 0: all cores
    memory_budget_mb: Annotated[int, Ge(1)] = 2048  # MiB, of the whole process
    provider: str = ""  # execution provider or device, in the runtime's own words; '': its default
    rounding: Rounding = ""  # of `integer`
    outputs: str = ""  # of `vacc`: the folder that an accelerator's outputs were copied to


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
