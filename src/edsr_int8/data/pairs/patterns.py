"""The glob patterns of a data set: which ones are allowed, and the files that they find."""

import os
import re
import unicodedata
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path, PurePath

from edsr_int8.errors import InputError

LEFTOVERS = ("thumbs.db", "desktop.ini")  # of Windows; macOS's ._0801.png and .DS_Store begin with a dot


def check_pattern(pattern: str) -> None:
    """InputError for a pattern that leaves its folder, has two `**`, or `**` as part of a name."""
    parts = PurePath(pattern).parts
    if PurePath(pattern).is_absolute() or ".." in parts or parts.count("**") > 1:
        raise InputError(f"pattern {pattern!r}: must stay inside path, with one ** at most")
    if not parts or parts[-1] == "**":
        raise InputError(f"pattern {pattern!r}: names no file; end it in one, as in '**/*.png'")
    if any("**" in part and part != "**" for part in parts):
        raise InputError(f"pattern {pattern!r}: ** stands for whole folders only, as in '**/*.png'")


def find_files(folder: Path, pattern: str) -> list[Path]:
    """The files in `folder` that the glob `pattern` finds, sorted; none where the folder is missing.

    A shell's rules: `*`, `?` and `[abc]` match within a name, `**` any number of folders, and none of them
    a leading dot. Beyond these, extensions match in any case, letters with accents however Unicode composes
    them (macOS decomposes), links are followed, and what Windows leaves in folders is skipped. `Path.glob`
    does none of the four. InputError as `check_pattern`.
    """
    check_pattern(pattern)
    parts = [composed(part) for part in PurePath(pattern).parts]
    return sorted(_found(folder, parts, ())) if folder.is_dir() else []


def open_folders(relative: PurePath, pattern: str) -> list[str]:
    """The folders of a file found by `pattern`, relative to its folder, that the pattern does not spell out.

    'seq/sharp/0001.png', found by '*/sharp/*.png', has 'seq'.
    """
    folders, wanted = relative.parts[:-1], list(PurePath(pattern).parts[:-1])
    if "**" in wanted:  # stands for any number of folders
        at = wanted.index("**")
        wanted[at : at + 1] = ["*"] * (len(folders) - len(wanted) + 1)
    return [name for name, part in zip(folders, wanted, strict=True) if re.search(r"[*?\[]", part)]


def composed(name: str) -> str:
    """The name with each accent and its letter as one character (Unicode's form NFC)."""
    return unicodedata.normalize("NFC", name)


def _found(folder: Path, parts: Sequence[str], above: tuple[tuple[int, int], ...]) -> Iterator[Path]:
    """Those below `folder`; `above` are device and inode of the folders that `**` went through."""
    part, *rest = parts
    if part == "**":
        status = folder.stat()
        here = (status.st_dev, status.st_ino)
        if here in above:  # a link to a folder that it lies in
            return
        yield from _found(folder, rest, ())
        part, rest, above = "*", list(parts), (*above, here)
    for path in (folder / name for name in os.listdir(folder) if _matches(name, part)):
        if rest and path.is_dir():
            yield from _found(path, rest, above)
        elif not rest and path.is_file():
            yield path


def _matches(name: str, part: str) -> bool:
    if (name.startswith(".") and not part.startswith(".")) or name.lower() in LEFTOVERS:
        return False
    return fnmatchcase(_any_case(composed(name)), _any_case(part))


def _any_case(name: str) -> str:
    """The name with its extension in lower case."""
    path = PurePath(name)
    return path.stem + path.suffix.lower()
