"""Fetch a file of known hash from the first source that has it; a killed download resumes.

Written by hand, since pooch starts again from the first byte, and archives of images have gigabytes.
"""

import errno
import hashlib
import os
import re
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import quote

from edsr_int8.data.download import sources
from edsr_int8.data.download.pace import SLOWEST, Pace
from edsr_int8.data.download.sources import SourceError, TransientError
from edsr_int8.errors import InputError
from edsr_int8.files import at_home, atomic
from edsr_int8.progress import byte_bar

MOST_UNKNOWN_BYTES = 2**32  # of a file whose length neither its row nor the server says
LEFT_FREE_BYTES = 2**28  # that such a file leaves on the disk
TOO_SLOW = f"gives less than {SLOWEST} bytes a second"
TRIES = 4  # in a row at one source, without one new byte
FIRST_PAUSE_S = 1.0  # doubled after each further try


def download(
    urls: Sequence[str],
    destination: Path,
    *,
    sha256: str,
    partial: Path,
    mirror: str = "",
    expected_bytes: int = 0,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Make `destination` the file whose SHA-256 starts with `sha256` (8 to 64 lower-case hex digits).

    Sources are tried in turn: `mirror`, a folder or a URL prefix that holds the file by name or by hash, then
    each of `urls` (http, https, file, or `drive:ID/NAME` for Google Drive). Bytes gather in `partial`, which
    survives a kill and is continued from any source, since the hash of the whole file decides. A file at
    `destination` or `partial` that has the hash already is not fetched again. With `expected_bytes` (0:
    unknown) a file of another length is refused before it is fetched. No source may give more bytes than
    are expected or than it says itself, or be slower than `pace` allows.

    Raises InputError: no source gave the file (each with its reason), or the disk is full (`partial` stays).
    """
    if not re.fullmatch(r"[0-9a-f]{8,64}", sha256):
        raise ValueError(f"sha256: expected 8 to 64 lower-case hex digits, found {sha256!r}")
    if destination.exists() and _digest(destination).startswith(sha256):
        return
    held = _digest(partial) if partial.exists() else ""
    if not held.startswith(sha256):
        refusals = [f"{partial} held {_length(partial)} bytes, sha256 {held}"] if held else []
        for url in [*_mirrored(mirror, destination.name, sha256), *urls]:
            try:
                _complete(url, partial, sha256, expected_bytes, sleep)
                break
            except SourceError as error:
                refusals.append(f"{url}: {error}")
        else:
            raise InputError(
                f"{destination.name}: no source gave it: {'; '.join(refusals)}; put the file by hand at "
                f"{_place_by_hand(mirror, destination.name, partial)}, or correct its row of downloads"
            )
    _publish(partial, destination)


def _mirrored(mirror: str, name: str, sha256: str) -> list[str]:
    if not mirror:
        return []
    prefix = mirror if "://" in mirror else Path(at_home(mirror, "mirror")).absolute().as_uri()
    return [f"{prefix.rstrip('/')}/{quote(file)}" for file in (name, sha256)]


def _place_by_hand(mirror: str, name: str, partial: Path) -> Path:
    return Path(mirror) / name if mirror and "://" not in mirror else partial


def _complete(
    url: str, partial: Path, sha256: str, expected_bytes: int, sleep: Callable[[float], None]
) -> None:
    """Fetch what `partial` lacks from `url`, and verify the whole. SourceError if that fails."""
    continued = _length(partial) > 0
    found = _append_patiently(url, partial, expected_bytes, sleep)
    if continued and not found.startswith(sha256):  # its first bytes may have been another file's
        partial.unlink()
        found = _append_patiently(url, partial, expected_bytes, sleep)
    if not found.startswith(sha256):
        raise SourceError(f"sha256 of its {_length(partial)} bytes is {found}, expected {sha256}")


def _append_patiently(url: str, partial: Path, expected_bytes: int, sleep: Callable[[float], None]) -> str:
    """Fetch what `partial` lacks, with pauses between tries; returns the hash of the whole."""
    partial.parent.mkdir(parents=True, exist_ok=True)
    failures, most, pace = 0, _length(partial), Pace()
    while True:
        try:
            _append(url, partial, expected_bytes, pace)
            return _digest(partial)
        except TransientError:
            if pace.too_slow(0):
                raise SourceError(TOO_SLOW) from None
            failures = 1 if _length(partial) > most else failures + 1
            most = max(most, _length(partial))
            if failures == TRIES:
                raise
            sleep(FIRST_PAUSE_S * 2 ** (failures - 1))
        except OSError as error:
            if error.errno not in sources.FULL_DISK:
                raise
            raise InputError(
                f"{partial}: the disk is full after {_length(partial)} bytes; free some space and run again: "
                "the download resumes there"
            ) from None


def _append(url: str, partial: Path, expected_bytes: int, pace: Pace) -> None:
    with sources.opened(url, _length(partial)) as stream:
        total = stream.total or expected_bytes
        if expected_bytes and total != expected_bytes:
            raise SourceError(f"has {total} bytes, expected {expected_bytes}")
        _check_disk(partial, total - _length(partial))
        _write(stream, partial, total, pace)
    if stream.total and _length(partial) < stream.total:
        raise TransientError(f"ended after {_length(partial)} of {stream.total} bytes")


def _write(stream: sources.Stream, partial: Path, total: int, pace: Pace) -> None:
    """Append the chunks of `stream`, `total` bytes in all; 0: unknown, then MOST_UNKNOWN_BYTES at most."""
    done, most = stream.start, total or MOST_UNKNOWN_BYTES
    with (
        partial.open("ab") as file,
        byte_bar(f"fetch {partial.name}", total=total or None, done=stream.start) as shown,
    ):
        file.truncate(stream.start)
        for chunk in stream.chunks:
            done += len(chunk)
            if done > most:
                file.truncate(0)  # it is not the file
                why = "" if total else ", and neither it nor the row says how many; state bytes in the row"
                raise SourceError(f"gives more than {most} bytes{why}")
            if pace.too_slow(len(chunk)):
                raise SourceError(TOO_SLOW)
            if not total:
                _check_disk(partial, len(chunk) + LEFT_FREE_BYTES)
            file.write(chunk)
            shown.update(len(chunk))


def _check_disk(partial: Path, needed_bytes: int) -> None:
    free_bytes = shutil.disk_usage(partial.parent).free
    if needed_bytes > free_bytes:
        raise InputError(
            f"{partial}: {needed_bytes} more bytes do not fit on the disk, which has {free_bytes} free; "
            "free some space and run again"
        )


def _length(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file, byte_bar(f"verify {path.name}", total=_length(path)) as shown:
        while chunk := file.read(sources.CHUNK_BYTES):
            digest.update(chunk)
            shown.update(len(chunk))
    return digest.hexdigest()


def _publish(partial: Path, destination: Path) -> None:
    destination.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.replace(partial, destination)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        with atomic(destination) as temporary:  # build/ and data/ on two disks
            shutil.copyfile(partial, temporary)
        partial.unlink()
