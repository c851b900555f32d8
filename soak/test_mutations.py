"""Which stages run after a change of a key of params.yaml, and which have to: a table of all keys.

What has to run is found by running: the whole pipeline runs once, in this process, on rows that note which
stage reads which key. What would run is what DVC decides by: the keys and files that dvc.yaml gives a stage.
tests/pipeline/test_code_hashes.py has the table of source files.
"""

import dataclasses
import importlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from dvc.repo import Repo
from dvc.repo.reproduce import plan_repro
from in_process import Here
from project import ROOT, Project, make_project

from edsr_int8.files import sha256
from edsr_int8.pipeline import layout, params
from edsr_int8.pipeline.rows import Params
from edsr_int8.targets.execution import timing

# Where from, and how many bytes: a verified download is the same file wherever it comes from.
RUN_NOTHING = {"downloads.*.urls", "downloads.*.bytes", "mirror", "fid.urls"}
# Stages that get a whole row or section: some read a key of every row of `targets` and take all rows at once;
# a precision goes whole to its two stages (docs/params.md says so), as DVC takes no keys to leave out.
GETS_ALL = {
    ("report", "models"), ("report", "precisions"), ("report", "targets"), ("evaluate", "targets"),
    ("time", "targets"), ("model_images", "targets"), ("probe", "targets"),
    ("finetune", "precisions"), ("quantize", "precisions"),
}  # fmt: skip


def all_sections(project: Project) -> dict[str, Any]:
    """The tiny project with a row of every kind, so that every key is read by some stage."""
    tree = project.params
    network = {key: tree["models"]["tiny_x2"][key] for key in
               ("source", "network", "features", "blocks", "scale", "res_scale", "upsampler")}  # fmt: skip
    archive = project.folder / "photos.bin"
    archive.write_bytes(b"photographs")
    tree["downloads"] = {
        "brought": {"urls": [archive.as_uri()], "sha256": sha256(archive), "unpack": "", "bytes": 11}
    }
    tree["models"]["tiny_x2"].update(
        shape=[40, 48], protocols=["official", "card"], img_range=255, rgb_mean=[0.4488, 0.4371, 0.404],
        reference={"psnr_db": 30.0},
    )  # fmt: skip
    tree["precisions"]["learned"] = {
        "dtype": "int8", "ranges": "percentile", "percentile": 99.9, "fold_long_skip": True, "gptq": True,
        "overrides": [{"tensors": "body.*", "ranges": "minmax"}], "channel_transform": True, "equalize": True,
        "bias_correction": True, "statistics": {"crops": 4, "patch": 16, "seed": 1},
        "finetune": {"steps": 1, "batch": 2}, "high_precision_budget": 0.5,
    }  # fmt: skip
    tree["targets"]["exact"] = {"runtime": "integer"}
    tree["training"]["tiny"] = {
        **network, "datasets": ["photos_x2"], "validation": ["photos_x2"], "start": "data/weights/random",
        "steps": 2, "batch": 1, "patch": 8, "learning_rate": 1e-4, "warmup": 1, "validate_every": 2,
    }  # fmt: skip
    tree["fid"] = {"weights": "no/such.pt", "sha256": "0123456789abcdef", "patch": 24}
    return tree


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
    clone.__dict__.update(
        {name: noted(getattr(value, name), f"{place}.{name}".lstrip("."), seen) for name in names}
    )
    return clone


@dataclasses.dataclass(frozen=True)
class Pipeline:
    """One run of everything: which stage reads what, and what DVC would decide by."""

    project: Project
    stages: tuple[Any, ...]  # DVC's, in the order in which they run
    reads: dict[str, Seen]  # stage -> keys
    leaves: frozenset[str]  # of params.yaml; those of rows that have a field inside have it as well

    def direct(self, leaf: str) -> set[str]:
        """The stages that DVC gives the key, or a key above it, or the path that it holds."""
        value = self.value(leaf)
        path = str(self.project.folder / value) if value and isinstance(value, str) else None
        found = set()
        for stage in self.stages:
            keys = [key for dep in stage.deps for key in getattr(dep, "params", ())]
            given = any(leaf == key or leaf.startswith(f"{key}.") for key in keys)
            if given or path in [dep.fs_path for dep in stage.deps]:
                found.add(name(stage))
        return found

    def value(self, leaf: str) -> Any:
        found: Any = self.project.params
        for part in leaf.split("."):
            found = found.get(part) if isinstance(found, dict) else None
        return found

    def after(self, started: set[str]) -> set[str]:
        """These stages and all that read what they write."""
        reached, written = set(started), list[str]()
        for stage in self.stages:
            paths = [dep.fs_path for dep in stage.deps if dep.fs_path]
            overlaps = (a.startswith(b) or b.startswith(a) for a in paths for b in written)
            if name(stage) in reached or any(overlaps):
                reached.add(name(stage))
                written += [out.fs_path for out in stage.outs]
        return reached


def name(stage: Any) -> str:
    return stage.addressing.split(":")[-1]


def kind(stage: str) -> str:
    return stage.split("@")[0]


def leaves(value: Any, place: str = "") -> Iterator[str]:
    """Every key whose value is no section, no row and no part of a row."""
    below = {}
    if dataclasses.is_dataclass(value):
        below = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    elif isinstance(value, Mapping) and "." not in place:  # deeper, it is the value of a key: `reference`
        below = dict(value)
    if not below and place not in ("downloads", "training"):
        yield place
    for key, inner in below.items():
        yield from leaves(inner, f"{place}.{key}".lstrip("."))


def pattern(leaf: str) -> str:
    """models.tiny_x2.shape -> models.*.shape"""
    section, *rest = leaf.split(".")
    rows = section in ("downloads", "datasets", "models", "precisions", "targets", "training")
    return ".".join([section, "*", *rest[1:]] if rows else [section, *rest])


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(timing, "ProcessPoolExecutor", Here)
        patch.syspath_prepend(str(ROOT))
        project = make_project(tmp_path_factory.mktemp("mutations") / "one")
        for variable in ("HOME", "DVC_SITE_CACHE_DIR", "GIT_CONFIG_GLOBAL"):
            patch.setenv(variable, project.environment[variable])
        project.write_params(all_sections(project))
        patch.chdir(project.folder)
        repo = Repo(str(project.folder))
        plain = params.load(Path("params.yaml"))
        stages, reads = tuple(plan_repro(repo.index.graph)), dict[str, Seen]()
        for stage in stages:
            seen = reads.setdefault(name(stage), set())
            module, *arguments = stage.cmd.removeprefix("python -m stages.").split()
            rows: Params = noted(plain, "", seen)
            seen.clear()
            getattr(importlib.import_module(f"stages.{module}"), module)(rows, *arguments)
        yield Pipeline(project, stages, reads, frozenset(leaves(plain)))
        repo.close()


def test_every_stage_that_reads_a_key_runs_when_it_changes(pipeline: Pipeline) -> None:
    missed = []
    for leaf in sorted(pipeline.leaves):
        if pattern(leaf) not in RUN_NOTHING:
            started = pipeline.direct(leaf) | by_probe(leaf, pipeline)
            read_by = {stage for stage, keys in pipeline.reads.items() if leaf in keys} - {"probe"}
            missed += [(leaf, stage) for stage in read_by - pipeline.after(started)]
    assert missed == []


def by_probe(leaf: str, pipeline: Pipeline) -> set[str]:
    """The stages that see the key through what `probe` writes down."""
    if leaf not in pipeline.reads["probe"]:
        return set()
    section, row, *_ = [*leaf.split("."), ""]
    seen_in = {
        "precisions": layout.needs(), "targets": layout.probe(row), "fid": layout.fid_probe(),
        "models": layout.checkpoint_probe(row), "training": layout.start_probe(row),
    }.get(section)  # fmt: skip
    return {
        name(stage)
        for stage in pipeline.stages
        if any(dep.def_path.endswith(str(seen_in)) for dep in stage.deps)
    }


def test_no_stage_gets_a_key_that_none_of_its_kind_reads(pipeline: Pipeline) -> None:
    read = {(kind(stage), pattern(leaf)) for stage, keys in pipeline.reads.items() for leaf in keys}
    given = {(kind(stage), pattern(leaf)) for leaf in pipeline.leaves for stage in pipeline.direct(leaf)}
    print()
    for leaf in sorted({leaf for _, leaf in given | read}):
        print(f"{leaf}: {', '.join(sorted(stage for stage, key in given if key == leaf)) or 'nothing'}")
    superfluous = {
        (stage, leaf) for stage, leaf in given - read if (stage, leaf.split(".")[0]) not in GETS_ALL
    }
    assert superfluous == set()


def test_where_a_download_comes_from_runs_nothing(pipeline: Pipeline) -> None:
    for leaf in pipeline.leaves:
        if pattern(leaf) in RUN_NOTHING:
            assert pipeline.direct(leaf) == set(), leaf


def test_every_key_of_every_section_was_read(pipeline: Pipeline) -> None:
    """Otherwise the table would prove nothing for it."""
    read = {pattern(leaf) for keys in pipeline.reads.values() for leaf in keys}
    assert {pattern(leaf) for leaf in pipeline.leaves} - read == set()
