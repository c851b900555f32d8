"""Archives of torch that hold more than tensors, read with inert objects in place of all else.

Such are the checkpoints of trainers, with their arguments, counters and histories, and TorchScript's. The
pickle inside can name any class or function of Python: here each name stands for a class that does nothing.
Nothing is imported, and nothing that the pickle names is run.
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

NUMBERS = {
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "BoolStorage": torch.bool,
}


MOST_MODULES = 10_000  # the largest EDSR that is read has 2,000
REMEDY = "save model.state_dict() with torch.save, and give that file"


def is_torchscript(archive: zipfile.ZipFile) -> bool:
    return any(name.endswith("/constants.pkl") for name in archive.namelist())  # torch.save writes none


def read_archive(path: Path) -> Any:
    """The tensors, numbers, texts and containers in the archive; of TorchScript, its state dict."""
    with zipfile.ZipFile(path) as archive:
        root = next(n for n in archive.namelist() if n.endswith("/data.pkl")).removesuffix("data.pkl")
        if f"{root}byteorder" in archive.namelist() and archive.read(f"{root}byteorder") != b"little":
            raise InputError("was written on a big-endian machine; save it again on another")
        with archive.open(f"{root}data.pkl") as file:
            content = Reader(file, archive, root).load()
        return dict(_tensors(content)) if is_torchscript(archive) else content


class Reader(pickle.Unpickler):
    """Makes tensors, containers and inert objects, and nothing else."""

    def __init__(self, file: Any, archive: zipfile.ZipFile, root: str) -> None:
        super().__init__(file)
        self.archive, self.root = archive, root
        self.storages: dict[str, Tensor] = {}
        # Of this reader alone: a pickle may set attributes of what it gets.
        self.inert = type("Inert", (_Inert,), {})

    def find_class(self, module: str, name: str) -> Any:
        if module == "torch" and name in NUMBERS:
            return name
        match module, name:
            case "collections", "OrderedDict":
                return OrderedDict
            case "torch._utils", "_rebuild_tensor_v2":
                return _Rebuild()
            case "torch._utils", "_rebuild_parameter":
                return _First()
            case "torch.jit._pickle", _:  # lists and dictionaries with their types
                return _First()
        return self.inert

    def persistent_load(self, saved: Any) -> Tensor:
        """One storage, all of it, as a flat tensor."""
        _, kind, key, _, _ = saved
        if key not in self.storages:
            data = bytearray(self.archive.read(f"{self.root}data/{key}"))
            empty = torch.empty(0, dtype=NUMBERS[kind])
            self.storages[key] = torch.frombuffer(data, dtype=NUMBERS[kind]) if data else empty
        return self.storages[key]


class _Inert:
    def __init__(self, *_: Any, **__: Any) -> None:
        """Takes whatever the object itself would take."""

    def __setstate__(self, state: Any) -> None:
        if isinstance(state, dict):  # the attributes, among them the tensors of a module
            vars(self).update(state)

    def append(self, _: Any) -> None:
        """Of what the object was a list of, nothing is kept."""

    def __setitem__(self, _: Any, __: Any) -> None:
        """Likewise."""


class _Rebuild:
    __slots__ = ()  # so that a pickle can set none

    def __call__(self, storage: Tensor, offset: int, lengths: Any, strides: Any, *_: Any) -> Tensor:
        return storage.as_strided(lengths, strides, offset)  # RuntimeError beyond the storage


class _First:
    __slots__ = ()

    def __call__(self, value: Any, *_: Any) -> Any:
        return value


def _tensors(module: Any) -> Iterator[tuple[str, Tensor]]:
    """Name -> tensor, of a module and those inside it, which are its attributes.

    InputError: so many that they must lie in each other, again and again.
    """
    waiting, seen = [("", module)], 0
    while waiting:
        prefix, here = waiting.pop()
        seen += 1
        if seen > MOST_MODULES:
            raise InputError(f"holds more than {MOST_MODULES} modules; {REMEDY}")
        for name, value in vars(here).items() if isinstance(here, _Inert) else ():
            if isinstance(value, Tensor):
                yield f"{prefix}{name}", value
            elif isinstance(value, _Inert):
                waiting.append((f"{prefix}{name}.", value))
