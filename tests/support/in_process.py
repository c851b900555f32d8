"""Work that DVC or stages give to processes of their own, done in the test's."""

import contextlib
import importlib
import io
import sys
from pathlib import Path
from unittest.mock import patch

import pytest
from dvc.repo import Repo
from dvc.repo.reproduce import plan_repro
from project import Project

from edsr_int8.pipeline import params, run
from edsr_int8.targets.execution import timing


class Here:
    """In place of a pool of processes: the same call, in this process."""

    def __init__(self, *_: object, **__: object) -> None: ...
    def __enter__(self) -> "Here":
        return self

    def __exit__(self, *_: object) -> None: ...
    def submit(self, function, *arguments):
        self.result = lambda: function(*arguments)
        return self


def repro(project: Project, monkeypatch: pytest.MonkeyPatch, *targets: str) -> None:
    """Each command of `dvc repro TARGETS`, in DVC's order, in this one process, in the project's folder.

    A process a stage would take a second for each. What a stage depends on is there before it, and what it
    promises after it.
    """
    for name in ("HOME", "DVC_SITE_CACHE_DIR", "GIT_CONFIG_GLOBAL"):  # DVC is called in this process too
        monkeypatch.setenv(name, project.environment[name])
    monkeypatch.setattr(timing, "ProcessPoolExecutor", Here)
    monkeypatch.chdir(project.folder)
    rows, repo = params.load(Path("params.yaml")), Repo(str(project.folder))
    try:
        wanted = [stage for name in targets for stage in repo.stage.collect(name)]
        for planned in plan_repro(repo.index.graph, wanted or None):
            assert all(dep.exists for dep in planned.deps), planned.addressing
            module, *arguments = planned.cmd.removeprefix("python -m stages.").split()
            stage = getattr(importlib.import_module(f"stages.{module}"), module)
            stage(rows, *arguments)
            assert all(out.exists for out in planned.outs), planned.addressing
    finally:
        repo.close()


def refusal(project: Project, name: str, *arguments: str) -> str:
    """What `python -m stages.NAME`, which must fail, says: one line and no traceback."""
    stage, said = getattr(importlib.import_module(f"stages.{name}"), name), io.StringIO()
    with (
        contextlib.chdir(project.folder),
        contextlib.redirect_stderr(said),
        patch.object(sys, "argv", [name, *arguments]),
        patch.object(run, "end_done"),
        pytest.raises(SystemExit) as ended,
    ):
        run.run(stage)
    text = f"{said.getvalue()}{ended.value}"
    assert text.startswith("error: ") and "\n" not in text, text
    return text
