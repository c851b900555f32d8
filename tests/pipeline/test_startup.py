"""How a stage starts: torch takes seconds to load, and hundreds of stages never use it."""

import subprocess
import sys

from pipeline_files import ROOT, STAGES

# What `python -m stages.probe` is to a Python that has nothing but its own library.
WITHOUT_PACKAGES = "import sys; sys.path.insert(0, sys.argv[1]); sys.argv[0] = '-m'; import stages.probe"
NEED_TORCH = {"convert", "export", "train"}  # always; others load it for the rows that ask for it


def test_a_stage_loads_neither_torch_nor_dask_before_it_knows_that_it_needs_them() -> None:
    modules = ", ".join(f"stages.{name}" for name in sorted(STAGES.keys() - NEED_TORCH))
    code = f"import sys, {modules}; print(sorted({{'torch', 'distributed', 'dvc'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_python_without_the_packages_says_what_to_do() -> None:
    """DVC starts the `python` that it finds first, which need not be that of the environment."""
    command = [sys.executable, "-I", "-S", "-c", WITHOUT_PACKAGES, str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.startswith("error: ") and done.stderr.endswith("`. .venv/bin/activate` first\n")
