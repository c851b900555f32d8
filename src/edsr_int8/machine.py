"""The machine that the program runs on: its CPU, and how many cores the process may use."""

import os
import platform
from pathlib import Path
from typing import Any

# Instructions that change what a runtime computes, not only how fast: int8 dot products that accumulate
# in 32 bits (VNNI), bf16 in place of float32, matrix tiles.
CPU_FLAGS = ("amx_bf16", "amx_int8", "avx2", "avx512_bf16", "avx512_vnni", "avx512f", "avx_vnni", "i8mm")
VNNI = {"avx512_vnni", "avx_vnni"}
X86_64 = ("x86_64", "AMD64")


def processor() -> dict[str, Any]:
    """The CPU's architecture, and which instructions it has that change int8 or float results."""
    found = set(_cpuinfo().split())
    return {"architecture": platform.machine(), "instructions": [f for f in CPU_FLAGS if f in found]}


def saturates() -> bool:
    """Whether int8 kernels on this CPU may add two products in 16 bits, which overflows.

    True on x86-64 without VNNI, where the kernels use vpmaddubsw.
    """
    facts = processor()
    return facts["architecture"] in X86_64 and not VNNI & set(facts["instructions"])


def machine() -> str:
    """The CPU's name and the number of cores that this process may use."""
    names = [line.split(":")[1].strip() for line in _cpuinfo().splitlines() if line.startswith("model name")]
    return f"{names[0] if names else platform.machine()}, {cores()} cores"


def cores() -> int:
    """Number of cores that this process may use; in a container, fewer than the machine has."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on Linux
        return os.cpu_count() or 1


def _cpuinfo() -> str:
    try:
        return Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:  # not on Linux
        return ""
