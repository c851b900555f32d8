"""How a stage starts: torch takes seconds to load, and hundreds of stages never use it."""

import subprocess
import sys

from pipeline_files import ROOT, STAGES

NEED_TORCH = {"convert", "export", "train"}  # always; others load it for the rows that ask for it


def test_a_stage_loads_neither_torch_nor_dask_before_it_knows_that_it_needs_them() -> None:
    modules = ", ".join(f"stages.{name}" for name in sorted(STAGES.keys() - NEED_TORCH))
    code = f"import sys, {modules}; print(sorted({{'torch', 'distributed', 'dvc'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
