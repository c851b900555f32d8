"""The files that a stage depends on, against those that Python itself loads."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import grimp
import pytest

from edsr_int8.errors import InputError
from edsr_int8.files import sha256
from edsr_int8.pipeline.code_hashes import closure, code, module_name
from edsr_int8.targets.base import MODULES

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = [path.relative_to(ROOT) for path in sorted((ROOT / "stages").glob("[a-z]*.py"))]
LOADED = """
import importlib, json, sys
importlib.import_module(sys.argv[1])
print(json.dumps([m.__file__ for m in sys.modules.values() if getattr(m, "__file__", None)]))
"""


@pytest.mark.parametrize("stage", ["infer", "report"])
def test_all_that_python_loads_is_in_the_closure(stage: str) -> None:
    command = [sys.executable, "-c", LOADED, f"stages.{stage}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    files = [Path(file) for file in json.loads(done.stdout) if file]
    loaded = {
        f.relative_to(ROOT)
        for f in files
        if f.is_relative_to(ROOT / "src") or f.is_relative_to(ROOT / "stages")
    }
    found = closure(Path("stages") / f"{stage}.py", ROOT)
    assert len(loaded) > 5 and loaded <= found


def modules_by_grimp() -> dict[Path, set[str]]:
    """Script -> the modules that it may load, by another reader of imports, told the table of names."""
    graph = grimp.build_graph("edsr_int8", "stages", cache_dir=None)
    for module in MODULES.values():
        graph.add_import(importer="edsr_int8.targets.base", imported=f"edsr_int8.targets.{module}")

    def upstream(module: str) -> set[str]:
        packages = {module.rpartition(".")[0]} - {""}
        return graph.find_modules_directly_imported_by(module) | packages

    found = {}
    for script in SCRIPTS:
        loaded = {f"stages.{script.stem}"}
        while more := set().union(*map(upstream, loaded)) - loaded:
            loaded |= more
        found[script] = loaded
    return found


def test_each_stage_is_told_of_exactly_the_modules_that_it_may_load() -> None:
    """All stages, all modules; imports in functions, in annotations, relative and by a table of names."""
    for script, expected in modules_by_grimp().items():
        files = [Path(file) for file in code(script, ROOT)]
        assert {module_name(file) for file in files if file.suffix == ".py"} == expected, script


def test_a_byte_more_is_another_hash(tmp_path: Path) -> None:
    for folder in ("src", "stages"):
        ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=ignored)
    images, before = tmp_path / "src/edsr_int8/data/images.py", code(Path("stages/infer.py"), tmp_path)
    images.write_bytes(images.read_bytes() + b"\n")
    after = code(Path("stages/infer.py"), tmp_path)
    assert {name for name in after if after[name] != before[name]} == {"src/edsr_int8/data/images.py"}


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def found(tmp_path: Path, text: str, **files: str) -> list[str]:
    """The modules of a package that a script runs which imports its base.py, whose source is `text`."""
    targets = dict.fromkeys(("one", "two", "deep/three"), "") | files
    root = write(
        tmp_path,
        {"stages/go.py": "import edsr_int8.targets.base\n", "src/edsr_int8/targets/base.py": text}
        | {f"src/edsr_int8/targets/{name}.py": body for name, body in targets.items()},
    )
    above = "src/edsr_int8/targets/"
    return [name.removeprefix(above) for name in code(Path("stages/go.py"), root) if above in name]


def test_imports_in_functions_count(tmp_path: Path) -> None:
    text = "def f():\n    from edsr_int8.targets.deep.three import x\n"
    assert found(tmp_path, text) == ["base.py", "deep/three.py"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("from . import one", ["base.py", "one.py"]),
        ("from .one import x", ["base.py", "one.py"]),
        ("from .deep.three import x", ["base.py", "deep/three.py"]),
        ("from ..targets import two", ["base.py", "two.py"]),
    ],
)
def test_relative_imports_count(tmp_path: Path, text: str, expected: list[str]) -> None:
    assert found(tmp_path, text) == expected


LOAD = "import importlib\ndef f(name): importlib.import_module(f'edsr_int8.targets.{MODULES[name]}')\n"


@pytest.mark.parametrize(
    "table",
    [
        "MODULES = {'a': 'one', 'b': 'deep.three'}",
        "MODULES: dict[str, str] = {'a': 'one', 'b': 'deep.three'}",
    ],
)
def test_a_table_of_modules_names_what_may_be_imported(tmp_path: Path, table: str) -> None:
    assert found(tmp_path, f"{table}\n{LOAD}") == ["base.py", "deep/three.py", "one.py"]


@pytest.mark.parametrize(
    "table",
    [
        "MODULES = dict(a='one')",
        "MODULES = {name: name for name in ('one', 'two')}",
        "MODULES = {'a': 'one'}\nMODULES['b'] = 'two'",
        "MODULES = {'a': 'one'}\nMODULES |= {'b': 'two'}",
        "MODULES = {'a': 'one'}\nMODULES.update(b='two')",
        "from edsr_int8.elsewhere import MODULES",
    ],
)
def test_of_a_table_that_is_not_plain_every_module_of_the_package_counts(tmp_path: Path, table: str) -> None:
    assert found(tmp_path, f"{table}\n{LOAD}") == ["base.py", "deep/three.py", "one.py", "two.py"]


@pytest.mark.parametrize(
    "text",
    [
        "import importlib\n\nimportlib.import_module('edsr_int8.targets.' + name)",
        "from importlib import import_module as bring\n\nbring(f'edsr_int8.targets.{name}')",
        "\n\n__import__(f'edsr_int8.targets.{name}')",
    ],
)
def test_an_import_by_name_is_found_whatever_it_is_called(tmp_path: Path, text: str) -> None:
    assert found(tmp_path, text) == ["base.py", "deep/three.py", "one.py", "two.py"]


@pytest.mark.parametrize(
    "text",
    [
        "import importlib\n\nimportlib.import_module(name)",
        "import importlib\n\nimportlib.import_module(f'{name}.x')",
        "import importlib\n\nimportlib.import_module('.one', package)",
        "from importlib import import_module\n\nload = import_module",
        "import importlib\n\nlist(map(importlib.import_module, names))",
    ],
)
def test_an_import_whose_name_cannot_be_read_is_refused_by_file_and_line(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError, match=r"src/edsr_int8/targets/base\.py:3: .* import_module\(f'edsr_int8"):
        found(tmp_path, text)


def test_imports_of_other_packages_by_name_are_none_of_ours(tmp_path: Path) -> None:
    assert found(tmp_path, "import importlib\nimportlib.import_module(f'numpy.{name}')") == ["base.py"]


def test_data_files_beside_a_module_count_and_hashes_are_those_of_the_files(tmp_path: Path) -> None:
    root = write(tmp_path, {"stages/go.py": "import edsr_int8.page\n", "src/edsr_int8/page/__init__.py": "",
                            "src/edsr_int8/page/page.html": "<p>", "src/edsr_int8/other.py": ""})  # fmt: skip
    found = code(Path("stages/go.py"), root)
    assert list(found) == ["src/edsr_int8/page/__init__.py", "src/edsr_int8/page/page.html", "stages/go.py"]
    assert found["stages/go.py"] == sha256(root / "stages/go.py")
