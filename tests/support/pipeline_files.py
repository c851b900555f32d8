"""What DVC reads: the dvc.yaml of the repository, and those of the other stages, a folder for each kind."""

from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parents[2]
PIPELINE_FILES = [ROOT / "dvc.yaml", *sorted((ROOT / "pipeline").glob("*/dvc.yaml"))]
STAGES: dict[str, Any] = {
    name: stage
    for file in PIPELINE_FILES
    for name, stage in YAML(typ="safe").load(file.read_text(encoding="utf-8"))["stages"].items()
}
