"""The rows are plain dataclasses: the library does not load pydantic, and reading params.yaml no runtime."""

import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from edsr_int8.pipeline.code_hashes import closure
from edsr_int8.targets.base import MODULES
from edsr_int8.targets.row import KEYS, Runtime

ROOT = Path(__file__).resolve().parents[2]
LOADED = """
import importlib, pkgutil, sys
for room in sys.argv[1:]:
    package = importlib.import_module(room)
    for found in pkgutil.walk_packages(package.__path__, room + "."):
        importlib.import_module(found.name)
print("pydantic" in sys.modules)
"""


def test_the_library_does_not_load_pydantic() -> None:
    rooms = ("quantization", "targets", "metrics", "training", "report")
    command = [sys.executable, "-c", LOADED, *(f"edsr_int8.{room}" for room in rooms)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_reading_the_rows_depends_on_no_code_of_a_runtime() -> None:
    found = closure(Path("src/edsr_int8/pipeline/params.py"), ROOT)
    rooms = {"/".join(file.parts[2:-1]) for file in found if file.name != "__init__.py"}
    assert rooms == {
        "",
        "data/download",
        "data/pairs",
        "models",
        "pipeline",
        "quantization",
        "targets",
        "training",
    }
    assert Path("src/edsr_int8/targets/base.py") not in found


def test_every_runtime_that_a_row_may_name_has_a_module_and_its_keys() -> None:
    assert set(get_args(Runtime)) == set(MODULES) == set(KEYS)


@pytest.mark.parametrize("stage", ["report", "time", "evaluate", "model_images", "dataset", "probe", "infer"])
def test_a_stage_that_needs_no_torch_does_not_load_it(stage: str) -> None:
    loads = "import sys, importlib; importlib.import_module(sys.argv[1]); print(*sys.modules)"
    command = [sys.executable, "-c", loads, f"stages.{stage}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert not {"torch", "scipy", "skimage", "onnxruntime", "requests"}.intersection(done.stdout.split())
