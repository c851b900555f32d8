"""The vendor's tools read and write images as .npz files with one array each, planes first."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edsr_int8 import artifacts
from edsr_int8.errors import InputError
from edsr_int8.files import atomic


def write_npz(path: Path, key: str, array: NDArray[Any]) -> None:
    """Write one array, uncompressed. Equal arrays give equal bytes, as numpy dates every entry 1980."""
    arrays: Any = {key: array}
    with atomic(path) as temporary:
        np.savez(temporary, **arrays)


def read_npz(path: Path, key: str) -> NDArray[Any]:
    """The array `key`. InputError: the file is damaged, or has no such array of real numbers."""
    arrays = artifacts.read_npz(path, "vamp")
    if key not in arrays:
        raise InputError(f"{path}: holds {', '.join(arrays) or 'nothing'}, expected {key}")
    if arrays[key].dtype.kind not in "fiu":
        raise InputError(f"{path}: {key} holds {arrays[key].dtype}, not real numbers; run vamp again")
    return arrays[key]


def checksum(path: Path) -> str:
    """Names, lengths and CRCs from the archive's directory: cheap, as no array is read."""
    try:
        with zipfile.ZipFile(path) as archive:
            return " ".join(f"{e.filename}:{e.file_size}:{e.CRC:08x}" for e in archive.infolist())
    except (OSError, zipfile.BadZipFile):
        return "damaged"
