"""TorchScript archives (torch.jit.save): the tensors by name, without compiling or running their code.

Such an archive is a zip file with its code apart from a pickle of its modules. The pickle is read here with
inert objects for the modules and a short list of names for the rest; any other name is refused.
"""

import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from edsr_int8.errors import InputError

MARK = "constants.pkl"  # beside data.pkl; torch.save writes none
NUMBERS = {
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "BoolStorage": torch.bool,
}


class Inert:
    """Stands for a module of the archive: it takes attributes and does nothing."""


def is_torchscript(path: Path) -> bool:
    with zipfile.ZipFile(path) as archive:
        return any(name.rpartition("/")[2] == MARK for name in archive.namelist())


def named_tensors(path: Path) -> dict[str, Tensor]:
    """The state_dict() of the saved module. InputError: the archive holds more than modules and tensors."""
    with zipfile.ZipFile(path) as archive:
        root = next(n for n in archive.namelist() if n.endswith("/data.pkl")).removesuffix("data.pkl")
        with archive.open(f"{root}data.pkl") as file:
            module = Reader(file, archive, root).load()
    return dict(_walk(module, ""))


class Reader(pickle.Unpickler):
    """Makes inert modules and tensors, and nothing else."""

    def __init__(self, file: Any, archive: zipfile.ZipFile, root: str) -> None:
        super().__init__(file)
        self.archive, self.root = archive, root

    def find_class(self, module: str, name: str) -> Any:
        if module.partition(".")[0] == "__torch__":
            return Inert
        if module == "torch" and name in NUMBERS:
            return name
        known = {
            ("collections", "OrderedDict"): OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2"): _tensor,
            ("torch.jit._pickle", "restore_type_tag"): _first,
            ("torch.jit._pickle", "build_intlist"): _first,
            ("torch.jit._pickle", "build_doublelist"): _first,
            ("torch.jit._pickle", "build_boollist"): _first,
            ("torch.jit._pickle", "build_tensorlist"): _first,
        }
        if (module, name) not in known:
            raise InputError(f"holds {module}.{name}, which is code or an object; nothing of it was run")
        return known[module, name]

    def persistent_load(self, saved: Any) -> Tensor:
        """One storage, all of it, as a flat tensor."""
        _, kind, key, _, _ = saved
        data = bytearray(self.archive.read(f"{self.root}data/{key}"))
        return torch.frombuffer(data, dtype=NUMBERS[kind]) if data else torch.empty(0, dtype=NUMBERS[kind])


def _tensor(
    storage: Tensor, offset: int, lengths: tuple[int, ...], strides: tuple[int, ...], *_: Any
) -> Tensor:
    return storage.as_strided(lengths, strides, offset)  # RuntimeError beyond the storage


def _first(value: Any, *_: Any) -> Any:
    return value


def _walk(module: Inert, prefix: str) -> Iterator[tuple[str, Tensor]]:
    for name, value in vars(module).items():
        if isinstance(value, Tensor):
            yield f"{prefix}{name}", value
        elif isinstance(value, Inert):
            yield from _walk(value, f"{prefix}{name}.")
