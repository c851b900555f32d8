"""What makes two machines give different results: workers that differ from this one are refused."""

import hashlib
import sys
from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from edsr_int8.machine import processor

PACKAGES = ("numpy", "onnxruntime", "opencv-python-headless", "pillow")  # that decode, compute and encode
PACKAGE = Path(__file__).resolve().parents[1]


def process_facts() -> dict[str, Any]:
    """The CPU's instructions, the versions of what computes, and a hash of this project's own code."""
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    versions = {name: version(name) for name in PACKAGES}
    return {"processor": processor(), "python": python, "edsr-int8": code_sha256(), **versions}


@cache
def code_sha256() -> str:
    """Of all files of the package, by their names and contents."""
    digest = hashlib.sha256()
    for path in sorted(PACKAGE.rglob("*")):
        if path.is_file() and path.suffix != ".pyc":
            digest.update(path.relative_to(PACKAGE).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def differences(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> list[str]:
    """Each fact that is not the same, with both values."""
    names = sorted(theirs.keys() | ours.keys())
    pairs = [(name, theirs.get(name, "missing"), ours.get(name, "missing")) for name in names]
    return [f"{name} is {_short(a)} there, {_short(b)} here" for name, a, b in pairs if a != b]


def _short(value: Any) -> str:
    if isinstance(value, Mapping):
        return " ".join(map(_short, value.values()))
    return "+".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
