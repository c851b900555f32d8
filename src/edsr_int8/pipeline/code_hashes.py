"""Which of the repository's own files a script runs: DVC does not follow Python imports.

A stage depends on a list of these files and their hashes, so that an edit reaches exactly the stages that
run it, without lists kept by hand.
"""

import ast
import fnmatch
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from edsr_int8.errors import InputError
from edsr_int8.files import sha256
from edsr_int8.pipeline.lazy_imports import lazily_imported

SOURCES = {"edsr_int8": Path("src/edsr_int8"), "stages": Path("stages")}  # package -> folder


def code(script: Path, root: Path) -> dict[str, str]:
    """Every file that running `script` may load -> its sha256; paths are relative to the repository."""
    return {path.as_posix(): sha256(root / path) for path in sorted(closure(script, root))}


def closure(script: Path, root: Path) -> set[Path]:
    """`script` and all that it imports, followed through, imports in functions too.

    InputError, with file and line: an import by a name that cannot be known before the script runs.
    """
    seen: set[Path] = set()
    waiting = [script]
    while waiting:
        file = waiting.pop()
        if file not in seen:
            seen.add(file)
            waiting += imported(file, root) if file.suffix == ".py" else ()
    return seen


@cache
def imported(file: Path, root: Path) -> frozenset[Path]:
    """The files of every import in `file`, of the packages that it lies in, and the data files beside it."""
    tree = ast.parse((root / file).read_text(encoding="utf-8"))
    names = {module_name(file)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            module = _absolute(node, file)
            names |= {module} | {f"{module}.{alias.name}" for alias in node.names}
    try:
        names |= {name for pattern in lazily_imported(tree) for name in _matching(pattern, root)}
    except InputError as error:
        raise InputError(f"{file}:{error}") from None
    beside = {path.relative_to(root) for path in (root / file).parent.iterdir() if _is_data(path)}
    return frozenset(beside.union(*(files_of(name, root) for name in names)))


def module_name(file: Path) -> str:
    """src/edsr_int8/data/images.py -> edsr_int8.data.images, and of an __init__.py its package."""
    parts = file.with_suffix("").parts[file.parts[0] == "src" :]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _absolute(node: ast.ImportFrom, file: Path) -> str:
    """`from ..images import x` in src/edsr_int8/data/pairs/read.py -> edsr_int8.data.images."""
    if not node.level:
        return node.module or ""
    package = list(file.parent.parts[file.parts[0] == "src" :])
    above = package[: len(package) - node.level + 1]
    return ".".join([*above, node.module] if node.module else above)


def _matching(pattern: str, root: Path) -> Iterable[str]:
    """The modules of a pattern such as edsr_int8.targets.*, at any depth."""
    if "*" not in pattern:
        return [pattern]
    folder = SOURCES.get(pattern.partition(".")[0])
    files = (root / folder).rglob("*.py") if folder else ()
    return fnmatch.filter([module_name(path.relative_to(root)) for path in files], pattern)


def _is_data(path: Path) -> bool:
    return path.is_file() and path.suffix not in (".py", ".pyc")


def files_of(name: str, root: Path) -> list[Path]:
    """edsr_int8.data.pairs -> its file and the __init__.py of every package above; [] for foreign names."""
    top, *rest = name.split(".")
    if top not in SOURCES:
        return []
    folder = SOURCES[top]
    files = [folder / "__init__.py"]
    for part in rest:
        folder = folder / part
        files += [folder / "__init__.py", folder.with_suffix(".py")]
    return [file for file in files if (root / file).is_file()]
