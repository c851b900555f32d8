"""An archive -> a folder of plain files. Archives come from elsewhere: nothing that they say is trusted.

zipfile and tarfile read the bytes; names are checked here. `ZipFile.extract` moves an entry that leaves the
folder to somewhere inside it, without a word; `tarfile.data_filter` lets links through, and Python 3.11.2
(Debian 12) has none. Neither looks for archive bombs, two entries of one name, or a tar file cut between two
entries.
"""

import lzma
import re
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO

from edsr_int8.errors import InputError
from edsr_int8.files import atomic_folder
from edsr_int8.progress import bar

MOST_EXPANSION = 100  # PNG and weights hardly shrink; bombs reach deflate's 1032 to 1 (zlib.net)
DAMAGE = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    NotImplementedError,  # of zipfile: a compression or version that it does not know
    UnicodeDecodeError,
)


class Refused(Exception):
    """What is wrong with an archive or an entry, in a few words."""


@dataclass(frozen=True)
class Entry:
    """What an archive says of one file, folder, link or device."""

    name: str
    length: int  # bytes
    is_folder: bool
    refusal: str  # why it is not unpacked; '' if it is
    open: Callable[[], IO[bytes] | None]


def unpack(archive: Path, out: Path, *, kind: str) -> None:
    """Write the files of `archive` into the folder `out`, all or none; they replace what was there.

    `kind` is zip, or tar (plain, gzip, bzip2 or xz). Names and bytes are used; owners, modes and times are
    not. The archive stays.

    Raises InputError, naming archive and entry: a name that leaves the folder or comes twice, a link or
    device, an encrypted or damaged archive, one that expands more than 100 times, a full disk.
    """
    with atomic_folder(out) as folder:
        _write(archive, folder, kind)


def _write(archive: Path, folder: Path, kind: str) -> None:
    name, seen, written = "", set[PurePosixPath](), 0
    declared, entries = {"zip": (_zip_bytes, _zip_entries), "tar": (_tar_bytes, _tar_entries)}[kind]
    try:
        _check_room(folder, archive, total=declared(archive), coming=declared(archive))
        for entry in bar(entries(archive), f"unpack {archive.name}", unit="file"):
            name = entry.name
            path = _checked(entry, seen)
            written += entry.length
            _check_room(folder, archive, total=written, coming=entry.length)
            _write_entry(entry, folder / path)
            seen.add(path)
    except Refused as error:
        raise InputError(_line(archive, name, str(error))) from None
    except DAMAGE as error:
        raise InputError(_line(archive, name, f"damaged: {error or 'it ends too early'}")) from None
    except OSError as error:  # a full disk, a name too long; bz2 and gzip raise it for damage, too
        raise InputError(_line(archive, name, error.strerror or f"damaged: {error}")) from None


def _line(archive: Path, name: str, words: str) -> str:
    where = f"{archive}: {name!r}" if name else f"{archive}"
    return f"{where}: {' '.join(words.split())}; nothing of it was unpacked"


def _checked(entry: Entry, seen: set[PurePosixPath]) -> PurePosixPath:
    """The entry's path inside the folder. Refused: it leaves the folder or comes twice, or `refusal`."""
    path = PurePosixPath(entry.name)
    if path.is_absolute() or ".." in path.parts or "\\" in entry.name or re.match("[A-Za-z]:", entry.name):
        raise Refused("leads out of the folder, or may on another system")
    if path in seen and not entry.is_folder:
        raise Refused("comes twice")
    if entry.refusal:
        raise Refused(entry.refusal)
    return path


def _check_room(folder: Path, archive: Path, *, total: int, coming: int) -> None:
    if total > MOST_EXPANSION * archive.stat().st_size:
        raise Refused(f"expands to more than {MOST_EXPANSION} times the archive's own bytes")
    free = shutil.disk_usage(folder).free
    if coming > free:
        raise Refused(f"{coming} bytes do not fit on the disk, which has {free} free; free some space")


def _write_entry(entry: Entry, path: Path) -> None:
    if entry.is_folder:
        path.mkdir(parents=True, exist_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    source = entry.open()
    if source is None:
        raise Refused("has no bytes of its own")
    with source, path.open("xb") as target:
        shutil.copyfileobj(source, target)


def _zip_bytes(archive: Path) -> int:
    with zipfile.ZipFile(archive) as file:
        return sum(info.file_size for info in file.infolist())


def _zip_entries(archive: Path) -> Iterator[Entry]:
    with zipfile.ZipFile(archive) as file:
        for info in file.infolist():
            source = partial(file.open, info)
            yield Entry(info.filename, info.file_size, info.is_dir(), _zip_refusal(info), source)


def _zip_refusal(info: zipfile.ZipInfo) -> str:
    if info.flag_bits & 0x1:
        return "is encrypted"
    kind = stat.S_IFMT(info.external_attr >> 16)  # 0 where the archive was not made on Unix
    return "" if kind in (0, stat.S_IFREG, stat.S_IFDIR) else "is a link or a device"


def _tar_bytes(archive: Path) -> int:
    return archive.stat().st_size  # a lower bound: only at its end is it known what a tar file holds


def _tar_entries(archive: Path) -> Iterator[Entry]:
    with tarfile.open(archive) as file:
        for member in file:
            refusal = "" if member.isreg() or member.isdir() else "is a link or a device"
            yield Entry(member.name, member.size, member.isdir(), refusal, partial(file.extractfile, member))
        # tarfile takes a damaged header for the end. The true end is a block of zeros.
        assert file.fileobj is not None
        file.fileobj.seek(file.offset)
        if file.fileobj.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
            raise tarfile.ReadError("no end mark after this entry")
