"""A checkpoint file -> float32 tensors by name, without running anything that the file may hold."""

import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from edsr_int8.errors import InputError

WRAPPERS = ("params_ema", "params")  # BasicSR's; the averaged weights come first
REMEDY = "save model.state_dict() with torch.save, and give that file"


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """What torch.save wrote, in either of its formats: a state dict, bare or under a BasicSR key.

    Half precision becomes float32. InputError, one line: no checkpoint, cut short, anything but named
    tensors, code, NaN or infinity.
    """
    content = _load(path)
    for key in WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
            break
    if not isinstance(content, Mapping) or not content:
        raise InputError(f"{path}: holds {_kind(content)}, not named tensors; {REMEDY}")
    return {str(name): _float32(value, name, path) for name, value in content.items()}


def _load(path: Path) -> Any:
    try:
        file = path.open("rb")
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None
    with file, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of formats that are refused all the same
        try:
            return torch.load(file, weights_only=True, map_location="cpu")
        # Damaged bytes reach any corner of the reader: EOFError, KeyError, OSError, RuntimeError, ...
        except Exception as error:
            raise InputError(f"{path}: {_refusal(error, path)}") from None


def _refusal(error: Exception, path: Path) -> str:
    if named := re.search(r"GLOBAL ([\w.]+)", str(error)):
        return (
            f"holds {named[1]}, which is code or an object, not just tensors; nothing of it was run; {REMEDY}"
        )
    return f"no torch checkpoint, or a damaged one ({path.stat().st_size} bytes); fetch it again"


def _float32(value: Any, name: Any, path: Path) -> Tensor:
    plain = isinstance(value, Tensor) and value.layout == torch.strided and value.device.type == "cpu"
    if not plain or not value.is_floating_point():
        raise InputError(f"{path}: {name} is {_kind(value)}, not numbers in floating point; {REMEDY}")
    tensor: Tensor = value.detach().float().contiguous()
    if not tensor.isfinite().all():
        raise InputError(f"{path}: {name} holds NaN or infinity: no usable weights; take another checkpoint")
    return tensor


def _kind(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"a tensor of {value.dtype} on {value.device}"
    return "nothing" if value == {} else f"a value of type {type(value).__name__}"
