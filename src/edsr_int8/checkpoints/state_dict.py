"""What a checkpoint holds -> the tensors of the network, wherever they lie and whatever lies beside them."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from edsr_int8.checkpoints.inert import REMEDY
from edsr_int8.checkpoints.sources import LAYOUTS
from edsr_int8.errors import InputError
from edsr_int8.models.description import Description

DEEPEST = 4  # of keys inside keys: {"model": {"params_ema": {...}}}
NUMBERS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
PROFILER = ("total_ops", "total_params")  # what thop (pytorch-OpCounter) leaves in every layer
MOST_NAMES = 20_000  # optimizers of the largest EDSR that is read have 8,000
MOST_NETWORKS = 32  # side by side under different prefixes
NO_NETWORK = "?"  # the end of a path to tensors that are no EDSR's
ANY = Description("edsr", 1, 1, 2, 1.0, "pixelshuffle")
HEADS = tuple({f"{layout.convolution('head', ANY)}.weight" for layout in LAYOUTS})  # the first convolution's


def state_dict(content: Any, *, most_bytes: int) -> dict[str, Tensor]:
    """The network's tensors by name, float32, without wrappers, prefixes, counters and what profilers left.

    `most_bytes` is the length of the file: no tensor can hold more. InputError where something else than
    named tensors is found, or a tensor that is no set of finite numbers.
    """
    found = min(_candidates(content), key=_rank, default=None)
    if found is None:
        raise InputError(f"holds {_kind(content)}, not named tensors; {REMEDY}")
    tensors = {name: value for name, value in found[1].items() if not _is_left_over(name, value)}
    if not tensors:
        raise InputError(f"holds {_kind(found[1])}, not named tensors; {REMEDY}")
    for name, value in tensors.items():
        _require_numbers(name, value)
    if sum(value.nbytes for value in tensors.values()) > most_bytes:
        largest = max(tensors, key=lambda name: tensors[name].nbytes)
        shape = "x".join(map(str, tensors[largest].shape))
        raise InputError(f"its tensors hold more than the file: {largest} is {shape}; fetch it again")
    return {name: _float32(name, value) for name, value in tensors.items()}


def holds_network(content: Any) -> bool:
    """Whether there is an EDSR in it, as far as its first convolution tells."""
    return any(not path.endswith(NO_NETWORK) for path, _ in _candidates(content))


def _candidates(content: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """(path, named values) of every mapping in `content` that holds tensors, and of every EDSR in one.

    The path is the keys that lead there and the prefix of the names.
    """
    for path, values in _mappings(content):
        for head in HEADS:
            for prefix in [name.removesuffix(head) for name in values if name.endswith(head)]:
                yield (
                    path + prefix,
                    {n.removeprefix(prefix): v for n, v in values.items() if n.startswith(prefix)},
                )
        yield path + NO_NETWORK, values


def _mappings(content: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each once, the least nested first: a file may hold one in another in many places."""
    level, seen = [("", content)], set[int]()
    for _ in range(DEEPEST):
        below: list[tuple[str, Any]] = []
        for path, value in level:
            if not isinstance(value, Mapping) or id(value) in seen:
                continue
            seen.add(id(value))
            named = {str(name): each for name, each in value.items()}
            if any(isinstance(each, Tensor) for each in named.values()):
                yield path, _few(named)
            below += [(f"{path}{name}.", each) for name, each in named.items()]
        level = below


def _few(named: dict[str, Any]) -> dict[str, Any]:
    """`named` itself. InputError: more tensors than any EDSR has, or as many networks as there are names."""
    heads = sum(name.endswith(HEADS) for name in named)
    if len(named) > MOST_NAMES or heads > MOST_NETWORKS:
        raise InputError(f"holds {len(named)} values by name, {heads} of them the beginning of a network")
    return named


def _rank(found: tuple[str, Mapping[str, Any]]) -> tuple[bool, bool, int]:
    """Smallest is best: an EDSR before anything else, averaged weights before the last ones, least nested."""
    path = found[0]
    return path.endswith(NO_NETWORK), not re.search(r"ema", path), len(path)


def _is_left_over(name: str, value: Any) -> bool:
    """Step counters, notes, and what thop left."""
    if not isinstance(value, Tensor):
        return True
    counter = not value.is_floating_point() and value.numel() <= 1
    return counter or name.rpartition(".")[2] in PROFILER


def _require_numbers(name: str, value: Tensor) -> None:
    plain = value.layout == torch.strided and value.device.type == "cpu" and not value.is_nested
    if not plain or value.dtype not in NUMBERS:
        raise InputError(f"{name} is {_kind(value)}, not plain floating point numbers; {REMEDY}")


def _float32(name: str, value: Tensor) -> Tensor:
    tensor: Tensor = value.detach().float().contiguous()
    if not tensor.isfinite().all():
        raise InputError(f"{name} holds NaN or infinity: no usable weights; take another checkpoint")
    return tensor


def _kind(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"a tensor of {value.dtype} on {value.device}"
    return "nothing" if value == {} else f"a value of type {type(value).__name__}"
