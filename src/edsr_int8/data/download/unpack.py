"""An archive -> a folder of plain files. Archives come from elsewhere: nothing that they say is trusted.

zipfile and tarfile read the bytes; names are checked here, and what memory and time depend on.
`ZipFile.extract` moves an entry that leaves the folder to somewhere inside it, without a word;
`tarfile.data_filter` lets links through, and Python 3.11.2 (Debian 12) has none. Neither looks for archive
bombs, two entries of one name, or a tar file cut between two entries.
"""

import re
import shutil
import stat
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO

from edsr_int8.data.download.expand import decompressor, expanded
from edsr_int8.errors import InputError
from edsr_int8.files import atomic_folder
from edsr_int8.progress import bar

MOST_EXPANSION = 100  # PNG and weights hardly shrink; bombs reach deflate's 1032 to 1 (zlib.net)
PADDING = 2**20  # bytes of zeros that tar adds, and that shrink more than that
MOST_ENTRIES = 200_000  # twice the images of the largest sets (LSDIR has 85,000 pairs)
DEEPEST = 32  # folders in each other
MOST_FOLDERS = 10_000  # GoPro has some hundred; ten times as many as ImageNet has classes
MOST_HEADER = 2**20  # bytes of a long name or a pax header; names have at most 4096
HEADER_READS = 1000  # blocks that tarfile may read between two entries: it follows them without end
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2)  # LZMA asks for gigabytes of memory
SHOWN = 200  # characters of a name


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

    Raises InputError, naming archive and entry: a name that leaves the folder, comes twice or is none, a link
    or device, an encrypted or damaged archive, one that expands more than 100 times or has more than
    200,000 files or 10,000 folders, a full disk.
    """
    with atomic_folder(out) as folder:
        _write(archive, folder, kind)


def _write(archive: Path, folder: Path, kind: str) -> None:
    name, seen, folders, written = "", set[PurePosixPath](), set[PurePosixPath](), 0
    declared, entries = {"zip": (_zip_bytes, _zip_entries), "tar": (_tar_bytes, _tar_entries)}[kind]
    try:
        _check_room(folder, archive, total=declared(archive), coming=declared(archive))
        for entry in bar(entries(archive, folder), f"unpack {archive.name}", unit="file"):
            name = entry.name
            path = _checked(entry, seen)
            folders |= {path, *path.parents} if entry.is_folder else set(path.parents)
            if len(folders) > MOST_FOLDERS:
                raise Refused(f"holds more than {MOST_FOLDERS} folders")
            written += entry.length
            _check_room(folder, archive, total=written, coming=entry.length)
            _write_entry(entry, folder / path)
            seen.add(path)
    except Refused as error:
        raise InputError(_line(archive, name, str(error))) from None
    except OSError as error:  # a full disk, a name too long; bz2 raises it for damage, too
        raise InputError(_line(archive, name, error.strerror or f"damaged: {error}")) from None
    except Exception as error:  # damage leads the readers anywhere: RecursionError, ValueError, ...
        raise InputError(_line(archive, name, f"damaged: {error or 'it ends too early'}")) from None


def _line(archive: Path, name: str, words: str) -> str:
    where = f"{archive}: {name[:SHOWN]!r}" if name else f"{archive}"
    return f"{where}: {' '.join(words.split())[:SHOWN]}; nothing of it was unpacked"


def _checked(entry: Entry, seen: set[PurePosixPath]) -> PurePosixPath:
    """The entry's path inside the folder. Refused: it leaves the folder or comes twice, or `refusal`."""
    if not entry.name.isprintable():
        raise Refused("has a name that is no plain text")
    path = PurePosixPath(entry.name)
    if not path.parts and not entry.is_folder:
        raise Refused("an entry has no name")
    if len(path.parts) > DEEPEST:
        raise Refused(f"lies more than {DEEPEST} folders deep")
    if len(seen) >= MOST_ENTRIES:
        raise Refused(f"holds more than {MOST_ENTRIES} files")
    if path.is_absolute() or ".." in path.parts or "\\" in entry.name or re.match("[A-Za-z]:", entry.name):
        raise Refused("leads out of the folder, or may on another system")
    if path in seen and not entry.is_folder:
        raise Refused("comes twice")
    if entry.refusal:
        raise Refused(entry.refusal)
    return path


def _check_room(folder: Path, archive: Path, *, total: int, coming: int, padding: int = 0) -> None:
    if coming < 0:
        raise Refused("has a length below zero")
    if total > MOST_EXPANSION * archive.stat().st_size + padding:
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


def _zip_entries(archive: Path, _: Path) -> Iterator[Entry]:
    with zipfile.ZipFile(archive) as file:
        for info in file.infolist():
            source = partial(file.open, info)
            is_folder = info.filename.endswith("/")
            yield Entry(info.filename, info.file_size, is_folder, _zip_refusal(info), source)


def _zip_refusal(info: zipfile.ZipInfo) -> str:
    if info.flag_bits & 0x1:
        return "is encrypted"
    if info.compress_type not in METHODS:
        return "is compressed in a way that is not read here; zip it again, by deflate"
    kind = stat.S_IFMT(info.external_attr >> 16)  # 0 where the archive was not made on Unix
    return "" if kind in (0, stat.S_IFREG, stat.S_IFDIR) else "is a link or a device"


def _tar_bytes(archive: Path) -> int:
    return archive.stat().st_size  # a lower bound: only at its end is it known what a tar file holds


def _tar_entries(archive: Path, folder: Path) -> Iterator[Entry]:
    with _plain(archive, folder) as plain:
        source = _Headers(plain)
        with tarfile.open(fileobj=source, mode="r:") as file:  # type: ignore[call-overload]
            while (member := file.next()) is not None:
                source.left = None  # what follows are its bytes
                found = partial(file.extractfile, member)
                yield Entry(member.name, member.size, member.isdir(), _tar_refusal(member), found)
                source.left = HEADER_READS
            # tarfile takes a damaged header for the end. The true end is a block of zeros.
            plain.seek(file.offset)
            if plain.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
                raise tarfile.ReadError("no end mark after this entry")


def _tar_refusal(member: tarfile.TarInfo) -> str:
    if member.issparse():
        return "has holes (GNU's sparse files), which no image has"
    return "" if member.isreg() or member.isdir() else "is a link or a device"


@contextmanager
def _plain(archive: Path, folder: Path) -> Iterator[IO[bytes]]:
    """The tar file, expanded where it is compressed, into a file in `folder` that has no name."""
    with archive.open("rb") as file:
        make = decompressor(file.read(8))
        file.seek(0)
        if make is None:
            yield file
            return
        with tempfile.TemporaryFile(dir=folder) as plain:
            written = 0
            for chunk in expanded(file, make):
                written += len(chunk)
                _check_room(folder, archive, total=written, coming=len(chunk), padding=PADDING)
                plain.write(chunk)
            plain.seek(0)
            yield plain


class _Headers:
    """A tar file for tarfile, which would read headers of any length, and any number of them in a row."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        self.left: int | None = HEADER_READS  # blocks that may still be read; None: as many as there are
        self.seek, self.tell = file.seek, file.tell

    def read(self, count: int) -> bytes:
        if not 0 <= count <= MOST_HEADER:
            raise Refused(f"has a header of {count} bytes")
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                raise Refused("has headers that lead to each other without end")
        return self.file.read(count)
