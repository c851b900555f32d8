"""The files that a stage depends on, against those that Python itself loads."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from edsr_int8.files import sha256
from edsr_int8.pipeline.code_hashes import closure, code

ROOT = Path(__file__).resolve().parents[2]
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


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def test_imports_in_functions_and_tables_of_modules_count(tmp_path: Path) -> None:
    root = write(
        tmp_path,
        {
            "stages/go.py": "import numpy\nfrom edsr_int8 import one\n",
            "stages/other.py": "",
            "src/edsr_int8/__init__.py": "",
            "src/edsr_int8/one.py": "def f():\n    from edsr_int8.deep.two import x\n",
            "src/edsr_int8/deep/two.py": 'MODULES = {"name": "three"}\n',
            "src/edsr_int8/deep/three.py": "import edsr_int8.one\n",
            "src/edsr_int8/deep/four.py": "",
        },
    )
    found = code(Path("stages/go.py"), root)
    assert list(found) == [
        "src/edsr_int8/__init__.py",
        "src/edsr_int8/deep/three.py",
        "src/edsr_int8/deep/two.py",
        "src/edsr_int8/one.py",
        "stages/go.py",
    ]
    assert found["stages/go.py"] == sha256(root / "stages/go.py")
