"""A checkpoint file -> the network's tensors, without running anything that the file may hold."""

import io
import re
import warnings
import zipfile
from pathlib import Path
from typing import Any

import safetensors.torch
import torch

from edsr_int8.checkpoints.inert import is_torchscript, read_archive
from edsr_int8.checkpoints.state_dict import REMEDY, holds_network, state_dict
from edsr_int8.errors import InputError
from edsr_int8.files import require_plain

GROWS = b"\nbytearray\n"  # the one name that torch calls with a length, and that fills so much memory
MOST_CODE = 2**26  # bytes of TorchScript's code, which is compressed


def read_state_dict(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of an EDSR's convolutions and mean shift, float32, by the names of its publisher.

    Reads what torch.save writes, in both of its formats, safetensors and TorchScript. The network may lie
    under other keys, have a prefix, and stand beside optimizers and objects of any class. Where there are
    averaged weights, they are taken.

    InputError, one line that begins with the file: no checkpoint, damaged, tensors that the file cannot hold,
    nothing but code or objects, NaN or infinity.
    """
    require_plain(path)
    try:
        return state_dict(_content(path), most_bytes=path.stat().st_size)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from None


def _content(path: Path) -> Any:
    with path.open("rb") as file:
        start = file.read(9)
    try:
        if start[8:] == b"{":  # after the length of the header, eight bytes
            return safetensors.torch.load_file(path)
        return _archive(path) if zipfile.is_zipfile(path) else _legacy(path)
    except InputError:
        raise
    # Damaged bytes reach any corner of the readers: EOFError, KeyError, OSError, RuntimeError, ...
    except Exception as error:
        raise InputError(_refusal(error, path)) from None


def _archive(path: Path) -> Any:
    with zipfile.ZipFile(path) as archive:
        _require_whole(archive, path.stat().st_size)
        pickles = [archive.read(name) for name in archive.namelist() if name.endswith("/data.pkl")]
        if is_torchscript(archive) or any(GROWS in content for content in pickles):
            return read_archive(path)
        verified = _copied(archive)
    try:
        return _load(verified)
    except Exception as error:
        # Such an object does not matter where it stands beside the network.
        if _object_named(error) and holds_network(content := read_archive(path)):
            return content
        raise


def _copied(archive: zipfile.ZipFile) -> io.BytesIO:
    """The same records, written anew: what torch reads is what was verified.

    Its own reader takes other fields of the directory for true: a record that is marked as a folder there is
    not read at all, and its tensor holds what lay in memory.
    """
    copy = io.BytesIO()
    with zipfile.ZipFile(copy, "w") as out:
        for record in archive.infolist():
            out.writestr(zipfile.ZipInfo(record.filename), archive.read(record))
    copy.seek(0)
    return copy


def _legacy(path: Path) -> Any:
    if GROWS in path.read_bytes():
        raise InputError(f"holds an array of bytes that would take any memory; {REMEDY}")
    return _load(path)


def _load(file: Path | io.BytesIO) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of formats that are refused all the same
        return torch.load(file, weights_only=True, map_location="cpu")


def _require_whole(archive: zipfile.ZipFile, length: int) -> None:
    """InputError: a record is damaged, which torch does not notice, or compressed, or there twice."""
    records = archive.infolist()
    if len({record.filename.casefold() for record in records}) < len(records):
        raise InputError("holds two records of one name; fetch the file again")
    plain = [record for record in records if "/code/" not in record.filename]
    if sum(record.file_size for record in records) > length + MOST_CODE:
        raise InputError("its records would take more bytes than the file has; fetch the file again")
    if any(record.compress_type != zipfile.ZIP_STORED for record in plain):
        raise InputError(f"holds compressed records, which torch never writes; {REMEDY}")
    if damaged := archive.testzip():
        raise InputError(f"{damaged} inside it is damaged (its checksum is another); fetch the file again")


def _object_named(error: Exception) -> str:
    """The class or function that torch refused to load, '' where that was not the error."""
    named = re.search(r"GLOBAL ([\w.]+)", str(error))
    return named[1] if named else ""


def _refusal(error: Exception, path: Path) -> str:
    if named := _object_named(error):
        return f"holds {named}, which is code or an object, not just tensors; nothing of it was run; {REMEDY}"
    return f"no checkpoint, or a damaged one ({path.stat().st_size} bytes); fetch it again"
