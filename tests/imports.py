"""Which of the repository's own modules a script imports, followed through, imports in functions too."""

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SOURCES = {"edsr_int8": ROOT / "src" / "edsr_int8", "stages": ROOT / "stages"}


def closure(script: Path) -> set[Path]:
    """Every file, `script` included, that running it may load (absolute paths)."""
    seen: set[Path] = set()
    waiting = [script]
    while waiting:
        file = waiting.pop()
        if file not in seen:
            seen.add(file)
            waiting += imported(file)
    return seen


def imported(file: Path) -> set[Path]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "MODULES":
            # A table of modules that are imported by name when a row asks for them.
            package = ".".join(file.relative_to(ROOT / "src").with_suffix("").parts[:-1])
            names |= {f"{package}.{name}" for name in ast.literal_eval(node.value).values()}
    return {path for name in names for path in files_of(name)}


def files_of(name: str) -> list[Path]:
    """`edsr_int8.data.pairs` -> its file and the __init__.py of every package above; [] for foreign names."""
    top, *rest = name.split(".")
    if top not in SOURCES:
        return []
    folder, files = SOURCES[top], [SOURCES[top] / "__init__.py"]
    for part in rest:
        folder = folder / part
        files += [folder / "__init__.py", folder.with_suffix(".py")]
    return [file for file in files if file.is_file()]
