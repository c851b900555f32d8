"""One script a stage: read its row, call the library, write its outputs; `python -m stages.<name> <row>`."""

import os
import sys
from importlib.util import find_spec
from pathlib import Path

# A queued experiment runs in a copy of the repository: its own code goes before an installed one.
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

if sys.argv[0] == "-m":  # `python -m stages.<name>`, and no test that imports one
    if find_spec("onnxruntime") is None:  # DVC starts the `python` that it finds first
        sys.exit(f"error: {sys.executable} lacks this project's packages; `. .venv/bin/activate` first")
    from edsr_int8.ending import end_on_signals

    end_on_signals(with_parent="DVC_STAGE" in os.environ)
