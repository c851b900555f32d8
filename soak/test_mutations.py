"""Which stages run after a change of a key of params.yaml, and which have to: no difference.

What has to run is found by running: the whole pipeline runs once, in this process, on rows that note which
stage reads which key. What would run is what DVC decides by: the keys and files that dvc.yaml gives a stage,
and what `probe` writes for it. tests/pipeline/test_settings.py has the table itself, and
tests/pipeline/test_code_hashes.py that of source files.
"""

import dataclasses
import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from in_process import Here
from mutations import ROWS_AFTER, Pipeline, all_sections, changes, kind, leaves, name, pattern, pipeline_of
from project import ROOT, make_project

from edsr_int8.pipeline import params
from edsr_int8.pipeline.rows import Params
from edsr_int8.pipeline.settings import Written, learning, writing
from edsr_int8.targets.execution import timing

# Where from, and how many bytes: a verified download is the same file wherever it comes from.
RUN_NOTHING = {"downloads.*.urls", "downloads.*.bytes", "mirror", "fid.urls"}
# What they read in the file that `probe` wrote for them, and not in params.yaml; `probe` itself reads all.
BY_FILE = {
    ("observe", "precisions"),
    ("gptq", "precisions"),
    ("sensitivity", "precisions"),
    ("evaluate", "fid"),
}


Seen = set[str]  # keys as they stand in params.yaml, with dots


def noted(value: Any, place: str, seen: Seen) -> Any:
    """`value` with every dataclass in it replaced by one that adds each field that is read to `seen`."""
    if isinstance(value, Mapping):
        return {key: noted(below, f"{place}.{key}", seen) for key, below in value.items()}
    if not dataclasses.is_dataclass(value):
        return value
    names = {field.name for field in dataclasses.fields(value)}

    def read(self: Any, name: str) -> Any:
        if name in names:
            seen.add(f"{place}.{name}".lstrip("."))
        return object.__getattribute__(self, name)

    kind = type(value)
    clone = object.__new__(type(kind.__name__, (kind,), {"__getattribute__": read}))
    clone.__dict__.update(origin=(value, place, seen))
    clone.__dict__.update(
        {name: noted(getattr(value, name), f"{place}.{name}".lstrip("."), seen) for name in names}
    )
    return clone


@dataclasses.dataclass(frozen=True)
class Run:
    """One run of everything."""

    pipeline: Pipeline
    reads: dict[str, Seen]  # stage -> keys


def seen_by(view: Callable[[Any], Any], stage: ModuleType, patch: pytest.MonkeyPatch) -> None:
    """Note what `stage` reads of what `view` shows it of a row, and not what `view` reads to choose that."""

    def shown(row: Any) -> Any:
        plain, place, seen = row.origin
        found = view(plain)
        if isinstance(found, Written):
            return dataclasses.replace(found, recipe=noted(found.recipe, place, seen))
        return noted(found, place, seen)

    patch.setattr(stage, view.__name__, shown)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(timing, "ProcessPoolExecutor", Here)
        patch.syspath_prepend(str(ROOT))
        project = make_project(tmp_path_factory.mktemp("mutations") / "one")
        for variable in ("HOME", "DVC_SITE_CACHE_DIR", "GIT_CONFIG_GLOBAL"):
            patch.setenv(variable, project.environment[variable])
        pipeline = pipeline_of(project, all_sections(project))
        patch.chdir(project.folder)
        plain, reads = params.load(Path("params.yaml")), dict[str, Seen]()
        for stage in pipeline.stages:
            seen = reads.setdefault(name(stage), set())
            script, *arguments = stage.cmd.removeprefix("python -m stages.").split()
            module = importlib.import_module(f"stages.{script}")
            for view in (learning, writing):
                if hasattr(module, view.__name__):
                    seen_by(view, module, patch)
            rows: Params = noted(plain, "", seen)
            seen.clear()
            getattr(module, script)(rows, *arguments)
        return Run(pipeline, reads)


def test_every_stage_that_reads_a_key_runs_when_it_changes(run: Run) -> None:
    missed = []
    for change in changes(run.pipeline.tree):
        if pattern(change.leaf) not in RUN_NOTHING:
            reading = {stage for stage, keys in run.reads.items() if change.leaf in keys} - {"probe"}
            runs = run.pipeline.after(run.pipeline.started(change))
            missed += [(change.leaf, stage) for stage in reading - runs]
    assert missed == []


def test_no_stage_runs_for_a_key_that_it_does_not_read(run: Run) -> None:
    """Every row of `precisions` for itself; of the other sections, what no stage of the kind reads."""
    read = {(kind(stage), pattern(leaf)) for stage, keys in run.reads.items() for leaf in keys}
    recipes = params.load(run.pipeline.root / "params.yaml").precisions
    superfluous = set()
    for change in changes(run.pipeline.tree):
        section, row, *_ = [*change.leaf.split("."), ""]
        for stage in run.pipeline.started(change) - {"probe"}:
            if kind(stage) in ("finetune", "quantize"):
                # Of a row that learns now, or no more, it must do something else, whatever it read.
                same = recipes[row].learns == change.params.precisions[row].learns
                needless = same and change.leaf not in run.reads[stage]
            else:
                needless = (kind(stage), pattern(change.leaf)) not in read
                needless &= (kind(stage), section) not in BY_FILE and change.leaf not in ROWS_AFTER
            if needless:
                superfluous.add((stage, change.leaf))
    assert superfluous == set()


def test_where_a_download_comes_from_runs_nothing(run: Run) -> None:
    for change in changes(run.pipeline.tree):
        if pattern(change.leaf) in RUN_NOTHING:
            assert run.pipeline.started(change) == set(), change.leaf


def test_every_key_of_every_section_was_read(run: Run) -> None:
    """Otherwise the table would prove nothing for it."""
    read = {pattern(leaf) for keys in run.reads.values() for leaf in keys}
    rows = params.load(run.pipeline.root / "params.yaml")
    assert {pattern(leaf) for leaf in leaves(rows)} - read == set()
