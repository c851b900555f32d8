"""A project with a row of every kind, the changes of one key that are allowed, and what DVC starts then."""

import dataclasses
import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

from dvc.repo import Repo
from dvc.repo.reproduce import plan_repro
from project import Project
from pydantic import TypeAdapter

from edsr_int8.errors import InputError
from edsr_int8.files import sha256
from edsr_int8.pipeline.rows import Params
from edsr_int8.pipeline.rules import check_rows
from edsr_int8.pipeline.settings import settings

READER = TypeAdapter(Params)
MOST = 3  # changes of one key
ROWS = ("downloads", "datasets", "models", "precisions", "targets", "training")
# Tried for every key; what is not allowed there is refused.
VALUES = (
    True, False, 0, 1, 2, 3, 4, 8, 16, 32, 64, 128, 4096, 0.25, 0.5, 1.0, 4.0, 99.0, 255.0,
    "", "x", "0123abcd", "official", "basicsr", "mdsr", "direct", "none", "deblur", "zip", "photos", "*.png",
    "minmax", "mse", "search", "uint8_asymmetric", "int8_symmetric", "uint16", "float16", "bfloat16",
    "float32", "openvino", "integer", "vacc", "fused", "CPUExecutionProvider", "native", "calibration_x2",
    "photos_x2",
    [], [8, 16], [0.1, 0.2, 0.3], ["tail"], ["official"], ["benchmark_y", "official"], ["calibration_x2"],
    [{"tensors": "tail", "ranges": "mse"}], {"psnr_db": 31.0}, ["https://example.org/x"],
)  # fmt: skip

# Keys that change only together with others: the whole row after it.
ROWS_AFTER: dict[str, dict[str, Any]] = {
    "precisions.int8.dtype": {"dtype": "float16"},
    "precisions.int8.ranges": {"dtype": "int8", "ranges": "mse", "fold_long_skip": True, "gptq": True},
    "precisions.learned.dtype": {"dtype": "bfloat16"},
    "targets.exact.provider": {"runtime": "openvino", "provider": "CPU"},
    "targets.exact.tile": {"runtime": "litert", "tile": [8, 16]},
    "targets.exact.python": {"runtime": "rknn", "tile": [8, 16], "python": "bin/python"},
    "targets.exact.outputs": {"runtime": "vacc", "outputs": "copied"},
}


def all_sections(project: Project) -> dict[str, Any]:
    """The tiny project with a row of every kind, so that every key is read by some stage."""
    tree: dict[str, Any] = project.params
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
    return ".".join([section, "*", *rest[1:]] if section in ROWS else [section, *rest])


def value_at(tree: Any, key: str) -> Any:
    """None where it is not there."""
    for part in key.split("."):
        tree = tree.get(part) if isinstance(tree, dict) else None
    return tree


@dataclass(frozen=True)
class Change:
    leaf: str
    tree: dict[str, Any]  # after it
    params: Params


def read(tree: dict[str, Any]) -> Params:
    """InputError, or pydantic's ValidationError: not allowed."""
    params = READER.validate_json(json.dumps(tree))
    check_rows(params, tree)
    return params


def changes(tree: dict[str, Any]) -> Iterator[Change]:
    """Other values that one key may have, the others as they are; then those of ROWS_AFTER."""
    before = read(tree)
    for leaf in leaves(before):
        found = (Change(leaf, after, params) for after, params in _allowed(tree, leaf) if params != before)
        yield from islice(found, MOST)
    for leaf, row in ROWS_AFTER.items():
        after = with_value(tree, leaf.rpartition(".")[0], row)
        yield Change(leaf, after, read(after))


def _allowed(tree: dict[str, Any], leaf: str) -> Iterator[tuple[dict[str, Any], Params]]:
    for value in VALUES:
        after = with_value(tree, leaf, value)
        with suppress(InputError, ValueError):
            yield after, read(after)


def with_value(tree: dict[str, Any], key: str, value: Any) -> dict[str, Any]:
    """Another tree, which shares all rows but the changed one."""
    first, _, below = key.partition(".")
    return tree | {first: with_value(tree.get(first, {}), below, value) if below else value}


@dataclass(frozen=True)
class Pipeline:
    """The rows of a params.yaml, and DVC's stages for them."""

    root: Path
    tree: dict[str, Any]
    stages: tuple[Any, ...]  # DVC's

    @cached_property
    def given(self) -> dict[str, tuple[set[str], list[str]]]:
        """Stage -> the files and the keys of params.yaml that DVC gives it."""
        return {
            name(stage): (
                set(paths(stage.deps)),
                [key for dep in stage.deps for key in getattr(dep, "params", ())],
            )
            for stage in self.stages
        }

    @cached_property
    def settings(self) -> dict[Path, Any]:
        return settings(read(self.tree))

    def started(self, change: Change) -> set[str]:
        """The stages that DVC finds changed by their keys, by what `probe` wrote for them, or by a path."""
        now, row = settings(change.params), change.leaf.split(".")[1:2]
        files = {path for path in {*self.settings, *now} if self.settings.get(path) != now.get(path)}
        named = value_at(self.tree, change.leaf)
        found = set()
        for stage, (given, keys) in self.given.items():
            own = isinstance(named, str) and named and stage.split("@")[1:] == row
            if (
                any(value_at(self.tree, key) != value_at(change.tree, key) for key in keys)
                or any(str(self.root / path) in given for path in files)
                or (own and str(self.root / named) in given)  # a path that DVC puts among them
            ):
                found.add(stage)
        return found

    def after(self, started: set[str]) -> set[str]:
        """These stages and all that read what they write."""
        reached, written = set(started), list[str]()
        for stage in self.stages:
            overlaps = (a.startswith(b) or b.startswith(a) for a in paths(stage.deps) for b in written)
            if name(stage) in reached or any(overlaps):
                reached.add(name(stage))
                written += paths(stage.outs)
        return reached


def pipeline_of(project: Project, tree: dict[str, Any]) -> Pipeline:
    """Nothing runs: DVC only reads."""
    project.write_params(tree)
    with Repo(str(project.folder)) as repo:
        return Pipeline(project.folder, tree, tuple(plan_repro(repo.index.graph)))


def paths(of: Any) -> list[str]:
    return [each.fs_path for each in of if each.fs_path]


def name(stage: Any) -> str:
    return str(stage.addressing.split(":")[-1])


def kind(stage: str) -> str:
    return stage.split("@")[0]
