"""The vendor's tools read and write images as .npz files with one array each, planes first."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edsr_int8.errors import InputError
from edsr_int8.files import atomic


def write_npz(path: Path, key: str, array: NDArray[Any]) -> None:
    """Write one array, uncompressed; equal arrays give equal bytes: numpy dates all entries 1980."""
    arrays: Any = {key: array}
    with atomic(path) as temporary:
        np.savez(temporary, **arrays)


def read_npz(path: Path, key: str) -> NDArray[Any]:
    """The array `key`. InputError where the file is not whole, or has no such array of numbers."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            if key not in arrays:
                raise InputError(f"{path}: holds {', '.join(arrays) or 'nothing'}, expected {key}")
            array = arrays[key]
            if array.dtype.kind not in "fiu":
                raise InputError(f"{path}: {key} holds {array.dtype}, not real numbers; run vamp again")
            return array
    except InputError:
        raise
    except Exception as error:  # zipfile, zlib and numpy raise what they like
        raise InputError(f"{path}: not a whole .npz file; copy it again ({error})") from None


def checksum(path: Path) -> str:
    """What tells its content from another's, from the archive's directory alone: cheap for large files."""
    try:
        with zipfile.ZipFile(path) as archive:
            return " ".join(f"{e.filename}:{e.file_size}:{e.CRC:08x}" for e in archive.infolist())
    except (OSError, zipfile.BadZipFile):
        return "damaged"
