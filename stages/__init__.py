"""One script a stage: read its row, call the library, write its outputs; `python -m stages.<name> <row>`."""

import sys
from pathlib import Path

# A queued experiment runs in a copy of the repository: its own code goes before an installed one.
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))
