"""Writing files and folders so that a reader finds the old one or the new one, never half of one."""

import contextlib
import csv
import errno
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from edsr_int8.errors import InputError

LEFTOVER = re.compile(r"\.(?P<name>.+)\.(?P<process>\d+)\.(?P<kind>part|old)(\.[^.]+)?")
FULL = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "your quota is used up",
    errno.EFBIG: "the disk, or a limit, takes no file that large",
}
_unfinished: set[Path] = set()  # what this process is writing, and would not want to leave behind


@contextlib.contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; it becomes `path` after the block, and goes if the block fails.

    InputError names `path` where the disk is full.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part{path.suffix}")
    with full_disk_explained(path), unfinished(temporary):
        yield temporary
        os.replace(temporary, path)


@contextlib.contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder outside the repository that is gone after the block."""
    with unfinished(Path(tempfile.mkdtemp(prefix="edsr-int8-"))) as folder:
        yield folder


@contextlib.contextmanager
def unfinished(path: Path) -> Iterator[Path]:
    """`path` itself, a file or folder that is deleted after the block, or by `discard_unfinished`."""
    _unfinished.add(path)
    try:
        yield path
    finally:
        _delete(path)
        _unfinished.discard(path)


def discard_unfinished() -> None:
    """Delete what blocks that have not ended are writing: for a process that is about to end."""
    for path in tuple(_unfinished):
        _delete(path)


def _delete(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def full_disk_explained(path: Path) -> Iterator[None]:
    """Around a block that writes `path`: turn "no space" and "quota exceeded" into an InputError."""
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        free = shutil.disk_usage(next(above for above in path.absolute().parents if above.exists())).free
        place = Path(*(LEFTOVER.sub(r"\g<name>", part) for part in path.parts))  # its name when it is done
        raise InputError(
            f"{place}: {FULL[error.errno]} ({free >> 20} MB free); make room and run again"
        ) from None


@contextlib.contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Give an empty folder beside `path`, which replaces the folder `path` after the block.

    No system call replaces a full folder: the old one is renamed, then the new one, then the old one is
    deleted. A process killed between the two renames leaves no folder at `path`; the next call brings the old
    one back first, and deletes what killed processes left. InputError names `path` where the disk is full.
    """
    new, old = (path.with_name(f".{path.name}.{os.getpid()}.{kind}") for kind in ("part", "old"))
    _tidy(path)
    new.mkdir(parents=True)
    try:
        with full_disk_explained(path), unfinished(new):
            yield new
            if path.exists():
                os.rename(path, old)
            os.rename(new, path)
    finally:
        _tidy(path)


def _tidy(path: Path) -> None:
    """Delete what ended processes left beside `path`; rename an old folder back where `path` is missing."""
    for beside in path.parent.glob("*"):
        match = LEFTOVER.fullmatch(beside.name)
        if not match or match["name"] != path.name or _is_another(int(match["process"])):
            continue
        if match["kind"] == "old" and not path.exists():
            os.rename(beside, path)
        else:
            _delete(beside)


def leftovers(folder: Path) -> Iterator[Path]:
    """What killed processes were writing anywhere in `folder`; nobody will read it."""
    for parent, folders, files in os.walk(folder):
        for name in (*folders, *files):
            match = LEFTOVER.fullmatch(name)
            if match and match["kind"] == "part" and not is_alive(int(match["process"])):
                yield Path(parent, name)


def _is_another(process: int) -> bool:
    """Whether a process of this number is alive and not the one that asks."""
    return process != os.getpid() and is_alive(process)


def is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # alive, and another user's
        return True
    return True


def write_json(path: Path, value: Any) -> None:
    """Write `value` with sorted keys: equal values give equal bytes. NaN is refused (ValueError)."""
    write_text(path, json.dumps(value, sort_keys=True, indent=1, allow_nan=False, ensure_ascii=False) + "\n")


def write_text(path: Path, text: str) -> None:
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_csv(path: Path, columns: Iterable[str], rows: Iterable[Iterable[Any]]) -> None:
    """Write a table with its header, with '\\n' line ends on every system."""
    with atomic(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)


def require_plain(path: Path) -> None:
    """InputError: `path` is a device, which may give bytes without end, or a pipe, which may wait."""
    if path.exists() and not path.is_file() and not path.is_dir():
        raise InputError(f"{path}: is a device or a pipe; give a file")


def at_home(path: str, what: str = "") -> str:
    """`path`, with a `~` at its beginning as the home folder. InputError names `what`: of no user here."""
    full = os.path.expanduser(path)
    if full.startswith("~"):
        raise InputError(f"{what}{': ' if what else ''}{path}: there is no such user; write the whole path")
    return full


def sha256(path: Path) -> str:
    """Hex digest of a whole file, which need not fit in memory. OSError names the file."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:  # a disk that fails in the middle says no name
        raise OSError(error.errno, error.strerror, str(path)) from None


def link(source: Path, target: Path) -> None:
    """Make `target` a hard link to `source`, or a copy where the file system has no hard links."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without hard links
        with atomic(target) as temporary:
            shutil.copyfile(source, temporary)
