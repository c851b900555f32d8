"""A tiny project in a folder of its own: this repository, two small networks, four small photographs."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from foreign_checkpoints import basicsr_state, official_state
from ruamel.yaml import YAML

from edsr_int8.data.images import write_png
from edsr_int8.models.description import Description

ROOT = Path(__file__).resolve().parents[2]
COPIED = (
    "src", "stages", "dvc.yaml", "pipeline", "pyproject.toml", "data/weights/random",
    ".dvc/config", ".dvcignore", ".gitignore",
)  # fmt: skip
TINY_X2 = Description("edsr", 8, 2, 2, 1.0, "pixelshuffle")
TINY_X1 = Description("edsr", 8, 1, 1, 1.0, "none")


class Project:
    """Runs commands in `folder` as a user would, with this interpreter first on the PATH."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        environment = dict(os.environ, DVC_NO_ANALYTICS="1", OMP_NUM_THREADS="1")
        environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
        # DVC and git keep out of the machine's own configuration.
        home = folder.parent / f"{folder.name}_home"
        home.mkdir(exist_ok=True)
        environment.update(
            HOME=str(home), DVC_SITE_CACHE_DIR=str(home / "dvc"), GIT_CONFIG_GLOBAL="/dev/null"
        )
        for role in ("AUTHOR", "COMMITTER"):
            environment[f"GIT_{role}_NAME"], environment[f"GIT_{role}_EMAIL"] = "a user", "user@example.org"
        self.environment = environment

    def run(self, *command: str, fails: bool = False) -> str:
        """stdout and stderr together; AssertionError where the exit status is not the expected one."""
        with tempfile.TemporaryFile("w+") as output:  # a pipe would wait for workers in the background, too
            done = subprocess.run(
                command, cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL,
                stdout=output, stderr=subprocess.STDOUT, timeout=1800, check=False,
            )  # fmt: skip
            output.seek(0)
            text = output.read()
        assert (done.returncode != 0) == fails, f"{' '.join(command)}\n{text}"
        return text

    def dvc(self, *arguments: str, fails: bool = False) -> str:
        return self.run(sys.executable, "-m", "dvc", *arguments, fails=fails)

    def repro(self) -> tuple[set[str], set[str]]:
        """(stages that ran, stages restored from the cache)."""
        text = self.dvc("repro")
        ran = set(re.findall(r"Running stage '(?:[^':]+:)?([^']+)'", text))
        restored = set(re.findall(r"Stage '(?:[^':]+:)?([^']+)' is cached", text))
        return ran, restored

    @property
    def params(self) -> Any:
        return YAML(typ="safe").load((self.folder / "params.yaml").read_text())

    def set(self, key: str, value: Any) -> None:
        """Put `value` at a dotted key of params.yaml."""
        tree = self.params
        *parents, last = key.split(".")
        place = tree
        for parent in parents:
            place = place[parent]
        place[last] = value
        self.write_params(tree)

    def write_params(self, tree: Any) -> None:
        apart = json.loads(json.dumps(tree))  # a value that two rows share would become an anchor
        YAML(typ="safe").dump(apart, self.folder / "params.yaml")


def make_project(folder: Path) -> Project:
    """The same bytes in any folder: a git and DVC repository with the first commit made."""
    for name in COPIED:
        source, target = ROOT / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(
                source, target, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info", "dvc.lock")
            )
        else:
            shutil.copyfile(source, target)
    write_photographs(folder / "photos")
    (folder / "weights").mkdir()
    torch.save(official_state(TINY_X2, seed=1), folder / "weights" / "x2.pt")
    torch.save({"params": basicsr_state(TINY_X1, seed=2)}, folder / "weights" / "x1.pth")
    project = Project(folder)
    project.write_params(tiny_params())
    for command in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "--message", "tiny project"]):
        project.run("git", *command)
    return project


def write_photographs(folder: Path) -> None:
    """Smooth random fields with an edge: enough like photographs to have scores."""
    random = np.random.default_rng(0)
    for name in ("a", "b", "c", "d"):
        coarse = random.integers(0, 256, (5, 6, 3))
        image = np.kron(coarse, np.ones((8, 8, 1))).astype(np.uint8)
        write_png(folder / f"{name}.png", image)


def tiny_params() -> dict[str, Any]:
    network = {"network": "edsr", "features": 8, "res_scale": 1.0, "shape": "native"}
    return {
        "downloads": {},
        "datasets": {
            "photos_x2": {"task": "sr", "scale": 2, "path": "photos", "hr": "[ab].png", "lr": ""},
            "calibration_x2": {"task": "sr", "scale": 2, "path": "photos", "hr": "[cd].png", "lr": ""},
            "photos_blur": {"task": "deblur", "scale": 1, "path": "photos", "hr": "[ab].png", "lr": ""},
        },
        "models": {
            "tiny_x2": {
                **network, "source": "official", "blocks": 2, "scale": 2, "upsampler": "pixelshuffle",
                "weights": "weights/x2.pt", "evaluation": ["photos_x2"], "calibration": "calibration_x2",
                "protocols": ["official", "benchmark_y"],
            },
            "tiny_x1": {
                **network, "source": "basicsr", "blocks": 1, "scale": 1, "upsampler": "none",
                "weights": "weights/x1.pth", "evaluation": ["photos_blur"], "calibration": "photos_blur",
                "protocols": ["basicsr"],
            },
        },
        "calibration": {"images": 50},
        "precisions": {
            "fp32": {"dtype": "float32"},
            "int8": {
                "dtype": "int8", "ranges": "percentile", "percentile": 99.999,
                "fold_long_skip": True, "gptq": True,
            },
        },
        "targets": {
            "onnxruntime": {
                "runtime": "onnxruntime", "provider": "CPUExecutionProvider",
                "threads": 1, "memory_budget_mb": 2048,
            }
        },
        "training": {},
    }  # fmt: skip
