"""Reading what a stage wrote: JSON, CSV and npz. A file that is missing or damaged is refused in one line.

These are the only readers of such files; data/images.py is that of pictures, onnx_file.py of graphs,
checkpoints/read.py of weights, pipeline/params.py of params.yaml.
"""

import csv
import io
import json
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edsr_int8.errors import InputError
from edsr_int8.files import require_plain

MOST_INFLATED = 2**29  # bytes that compressed arrays may take beyond those of their file
SHOWN = 200  # characters of what a library says of damage

Arrays = dict[str, NDArray[Any]]


@contextmanager
def reading(path: Path, stage: str) -> Iterator[None]:
    """Turn what reading and using `path`, which `stage` wrote, raises into an InputError with a remedy."""
    require_plain(path)
    try:
        yield
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"{path}: not found; run the {stage} stage first") from None
    except Exception as error:  # damage leads readers anywhere
        reason = " ".join(str(error).split())[:SHOWN] or type(error).__name__
        raise InputError(f"{path}: not what {stage} writes ({reason}); delete it and run it again") from None


def read_json(path: Path, kind: Any, stage: str) -> Any:
    """The value in `path`, of the type `kind`: a dataclass, or containers of plain values.

    InputError: `stage` has not written it yet, or it is damaged: no JSON, other keys and types, or numbers
    that are not finite.
    """
    with reading(path, stage):
        return _valid(kind, json.loads(path.read_bytes(), parse_float=_finite, parse_constant=_finite))


def read_csv(path: Path, kind: Any, stage: str) -> list[Any]:
    """The rows of a table as dataclasses `kind`, whose fields are its columns; none of an empty file.

    InputError as `read_json`.
    """
    with reading(path, stage), path.open(encoding="utf-8", newline="") as file:
        table = csv.DictReader(file, strict=True)
        columns = table.fieldnames or []
        if len(set(columns)) < len(columns):
            raise ValueError("a column comes twice")
        return list(_valid(list[kind], list(table)))


def read_npz(path: Path, stage: str) -> Arrays:
    """All arrays in `path` by name. Nothing is unpickled, and checksums are verified.

    InputError as `read_json`, and where the arrays would take MOST_INFLATED more bytes than the file.
    """
    with reading(path, stage), zipfile.ZipFile(path) as archive:
        records = archive.infolist()
        if sum(record.file_size for record in records) > path.stat().st_size + MOST_INFLATED:
            raise ValueError("its arrays are many times as large as the file")
        return {record.filename.removesuffix(".npy"): _array(archive.read(record)) for record in records}


def _array(content: bytes) -> NDArray[Any]:
    array: NDArray[Any] = np.lib.format.read_array(io.BytesIO(content), allow_pickle=False)
    if array.dtype.kind == "U" and not _is_text(array):
        raise ValueError("its text is none")
    return array


def _is_text(array: NDArray[Any]) -> bool:
    """Whether numpy's characters, numbers of 32 bits, are Unicode's: Python fails on others much later."""
    numbers = np.frombuffer(array.tobytes(), np.dtype(np.uint32).newbyteorder(array.dtype.byteorder))
    return not numbers.size or int(numbers.max()) <= sys.maxunicode


@cache
def _adapter(kind: Any) -> Any:
    from pydantic import TypeAdapter  # a tenth of a second, which who reads nothing need not wait for

    return TypeAdapter(kind)


def _finite(text: str) -> float:
    if not isfinite(value := float(text)):
        raise ValueError(f"{text} is no number")
    return value


def _valid(kind: Any, content: Any) -> Any:
    from pydantic import ValidationError

    try:
        return _adapter(kind).validate_python(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise ValueError(f"{place}: {first['msg']}" if place else first["msg"]) from None
