"""Writing files and folders so that a reader finds the old one or the new one, never half of one."""

import contextlib
import csv
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from edsr_int8.errors import InputError


@contextlib.contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; it becomes `path` after the block, and goes if the block fails."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part{path.suffix}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Give an empty folder beside `path`, which replaces the folder `path` after the block.

    No system call replaces a full folder: the old one is renamed, then the new one, then the old one is
    deleted. A process killed between the two renames leaves no folder at `path`; the next call brings the old
    one back first, and deletes what killed processes left.
    """
    new, old = (path.with_name(f".{path.name}.{os.getpid()}.{kind}") for kind in ("part", "old"))
    _tidy(path)
    new.mkdir(parents=True)
    try:
        yield new
        if path.exists():
            os.rename(path, old)
        os.rename(new, path)
    finally:
        _tidy(path)


def _tidy(path: Path) -> None:
    """Delete what ended processes left beside `path`; rename an old folder back where `path` is missing."""
    for beside in path.parent.glob("*"):
        match = re.fullmatch(rf"\.{re.escape(path.name)}\.(\d+)\.(part|old)", beside.name)
        if not match or _is_another(int(match[1])):
            continue
        if match[2] == "old" and not path.exists():
            os.rename(beside, path)
        else:
            shutil.rmtree(beside, ignore_errors=True)


def _is_another(process: int) -> bool:
    """Whether a process of this number is alive and not the one that asks."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # alive, and another user's
        return True
    return process != os.getpid()


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


def read_json(path: Path) -> Any:
    """The value in `path`. InputError where the file is damaged or cut short."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:  # of json, and of UTF-8
        raise InputError(f"{path}: is damaged ({error}); delete it and run again to make it anew") from None


def sha256(path: Path) -> str:
    """Hex digest of a whole file, which need not fit in memory."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def link(source: Path, target: Path) -> None:
    """Make `target` a hard link to `source`, or a copy where the file system has no hard links."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without hard links
        with atomic(target) as temporary:
            shutil.copyfile(source, temporary)
