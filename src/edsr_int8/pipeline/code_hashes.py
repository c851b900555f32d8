"""Which of the repository's own files a script runs: DVC does not follow Python imports.

A stage depends on a list of these files and their hashes, so that an edit reaches exactly the stages that
run it, without lists kept by hand.
"""

import ast
from functools import cache
from pathlib import Path

from edsr_int8.files import sha256

SOURCES = {"edsr_int8": Path("src/edsr_int8"), "stages": Path("stages")}  # package -> folder


def code(script: Path, root: Path) -> dict[str, str]:
    """Every file that running `script` may load -> its sha256; paths are relative to the repository."""
    return {path.as_posix(): sha256(root / path) for path in sorted(closure(script, root))}


def closure(script: Path, root: Path) -> set[Path]:
    """`script` and all that it imports, followed through, imports in functions too."""
    seen: set[Path] = set()
    waiting = [script]
    while waiting:
        file = waiting.pop()
        if file not in seen:
            seen.add(file)
            waiting += imported(file, root)
    return seen


@cache
def imported(file: Path, root: Path) -> frozenset[Path]:
    names: set[str] = set()
    for node in ast.walk(ast.parse((root / file).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "MODULES":
            # A table of modules that are imported by name when a row asks for them.
            package = ".".join(file.relative_to("src").with_suffix("").parts[:-1])
            names |= {f"{package}.{name}" for name in ast.literal_eval(node.value).values()}
    return frozenset(path for name in names for path in files_of(name, root))


def files_of(name: str, root: Path) -> list[Path]:
    """`edsr_int8.data.pairs` -> its file and the __init__.py of every package above; [] for foreign names."""
    top, *rest = name.split(".")
    if top not in SOURCES:
        return []
    folder = SOURCES[top]
    files = [folder / "__init__.py"]
    for part in rest:
        folder = folder / part
        files += [folder / "__init__.py", folder.with_suffix(".py")]
    return [file for file in files if (root / file).is_file()]
