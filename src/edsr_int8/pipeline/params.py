"""params.yaml as typed rows: the only reader of that file, and the one that refuses what it does not know."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from edsr_int8.errors import InputError
from edsr_int8.models.description import NetworkRow, check, scales
from edsr_int8.pipeline import layout
from edsr_int8.pipeline.schema import SEED, OneOf, Within, listed, record
from edsr_int8.quantization.recipe import RANGE_ESTIMATORS, Recipe
from edsr_int8.targets.base import TargetRow, check_row
from edsr_int8.training.schedule import Training

PROTOCOLS = ("official", "basicsr", "benchmark_y", "card")
NATIVE_SHAPE = (256, 256)  # height, width that costs are given at where a row's shape is native
# Published figures that a model row may carry, shown beside ours: of the fp32 network or of its int8 build,
# under one protocol (`card_int8_psnr_db`) or, with no protocol named, under all.
REFERENCE_FIGURES = (
    *(f"{of}{build}{figure}" for of in ("", *(f"{name}_" for name in PROTOCOLS)) for build in ("", "int8_")
      for figure in ("psnr_db", "ssim")),
    "card_flops_g",
    "params_m",
)  # fmt: skip
REFERENCE_PRECISION = "fp32"  # every drop is measured against it ...
REFERENCE_TARGET = "onnxruntime"  # ... on the same target, or on this one where that target has none


@dataclass(frozen=True)
class Download:
    """One file to bring: whole sha256, or the first 8 or more hex digits where a publisher prints those."""

    urls: tuple[str, ...]
    sha256: str
    unpack: Annotated[str, OneOf("zip", "tar", "")]
    bytes: Annotated[int, Within(0)] = 0  # 0: unknown


@dataclass(frozen=True)
class Dataset:
    """Pairs of a degraded image and its reference, found by patterns inside `path`."""

    task: Annotated[str, OneOf("sr", "deblur")]
    scale: Annotated[int, OneOf(1, 2, 3, 4)]
    path: str
    hr: str  # '': degraded images only, for calibration
    lr: str  # '': made from hr, by bicubic reduction (sr) or a seeded camera shake (deblur)
    limit: Annotated[int, Within(0)] = 0  # the first N pairs; 0: all
    seed: Annotated[int, SEED] = 0  # of the camera shake
    copies: Annotated[int, Within(1)] = 1  # camera shakes per photograph


@dataclass(frozen=True)
class Model(NetworkRow):
    weights: str
    evaluation: tuple[str, ...]
    calibration: str
    protocols: tuple[Annotated[str, OneOf(*PROTOCOLS)], ...]
    shape: tuple[int, int] | None  # None: native
    reference: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Calibration:
    images: Annotated[int, Within(1)]  # the first N of each calibration set


@dataclass(frozen=True)
class Fid:
    """The Fréchet distance over patches, beside PSNR and SSIM; no section, no distance."""

    weights: str  # file of the Inception network; without it the figure is left out, and the table says so
    sha256: str  # of that file: whole, or its first 8 or more hex digits
    urls: tuple[str, ...] = ()  # where to fetch it from
    patch: Annotated[int, Within(1)] = 256  # pixels a side
    patches: Annotated[int, Within(0)] = 0  # at most so many of each data set, spread evenly; 0: all


@dataclass(frozen=True)
class Params:
    downloads: Mapping[str, Download]
    datasets: Mapping[str, Dataset]
    models: Mapping[str, Model]
    calibration: Calibration
    precisions: Mapping[str, Recipe]
    targets: Mapping[str, TargetRow]
    training: Mapping[str, Training]
    mirror: str = ""  # a folder or URL prefix that holds the downloads by name or by hash
    fid: Fid | None = None


def load(path: Path) -> Params:
    """Read and check `path`. InputError names the file, row and key, and what is allowed."""
    try:
        tree = YAML(typ="safe").load(
            path.read_text(encoding="utf-8")
        )  # DVC's reader: both see the same values
    except FileNotFoundError:
        raise InputError(f"{path}: not found; copy one of presets/ there") from None
    except (YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not YAML: {' '.join(str(error).split())}") from None
    try:
        params = record(Params, tree, "")
        _check_rows(params)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    return params


def row(section: Mapping[str, Any], key: str, name: str) -> Any:
    """The row of a section by its key. `name` is the section's name, for the message."""
    if key not in section:
        raise InputError(f"params.yaml: {name} has no row {key!r}; it has {listed(section)}")
    return section[key]


def _check_rows(params: Params) -> None:
    """What one row says must fit what others say."""
    for name, reserved in layout.RESERVED.items():
        if taken := [key for key in getattr(params, name) if key in reserved]:
            raise InputError(f"{name}.{taken[0]}: the pipeline uses this name itself; choose another")
    _check_references(params)
    for key, download in params.downloads.items():
        _check_digest(download.sha256, f"downloads.{key}")
    if params.fid:
        _check_fid(params.fid)
    for key, dataset in params.datasets.items():
        _check_dataset(dataset, f"datasets.{key}")
    for key, recipe in params.precisions.items():
        _check_recipe(recipe, f"precisions.{key}")
    for key, target in params.targets.items():
        _check_target(target, f"targets.{key}")
    for key, model in params.models.items():
        _check_network(model, f"models.{key}")
        _check_model(model, params, f"models.{key}")
    for key, training in params.training.items():
        _check_network(training, f"training.{key}")
        _check_training(training, params, f"training.{key}")


def _check_references(params: Params) -> None:
    fp32 = params.precisions.get(REFERENCE_PRECISION)
    if fp32 is None or fp32.dtype != "float32":
        raise InputError(
            f"precisions: needs the row {REFERENCE_PRECISION}: {{dtype: float32}}, the reference of all"
        )
    target = params.targets.get(REFERENCE_TARGET)
    if target is None or target.runtime != REFERENCE_TARGET:
        raise InputError(f"targets: needs the row {REFERENCE_TARGET} with runtime: {REFERENCE_TARGET}")
    if not params.models:
        raise InputError("models: has no row; nothing to build")


def _check_digest(sha256: str, where: str) -> None:
    if not re.fullmatch(r"[0-9a-f]{8,64}", sha256):
        raise InputError(f"{where}.sha256: expected 8 to 64 lower-case hex digits, found {sha256!r}")


def _check_fid(fid: Fid) -> None:
    _check_digest(fid.sha256, "fid")
    if Path(fid.weights).is_relative_to(layout.fetched("")):
        # A row of downloads may run later than the look for this file, and its failure would stop the run.
        raise InputError(
            f"fid.weights: {fid.weights} is for downloads; take another folder, and list urls here"
        )


def _check_dataset(dataset: Dataset, where: str) -> None:
    if not dataset.hr and not dataset.lr:
        raise InputError(f"{where}: hr and lr are both empty; give at least one pattern")
    if dataset.copies > 1 and (dataset.task == "sr" or dataset.lr):
        raise InputError(
            f"{where}.copies: camera shakes are made for task deblur with lr '' only; leave it out"
        )
    if (dataset.task == "deblur") != (dataset.scale == 1):
        raise InputError(
            f"{where}.scale: found {dataset.scale} for task {dataset.task}; deblur is 1, sr is 2, 3 or 4"
        )


def _check_recipe(recipe: Recipe, where: str) -> None:
    if recipe.dtype == "float32" and recipe != Recipe("float32"):
        raise InputError(f"{where}: a float32 row takes dtype only")
    if recipe.dtype == "int8" and not recipe.ranges:
        raise InputError(f"{where}: missing ranges; allowed: {listed(RANGE_ESTIMATORS)}")
    if recipe.high_precision_layers and recipe.high_precision_budget:
        raise InputError(
            f"{where}: high_precision_layers and high_precision_budget both choose what stays in float; "
            "give one"
        )
    if recipe.collapse_tail and not recipe.high_precision:
        raise InputError(
            f"{where}: collapse_tail is for layers that stay in float; "
            "give high_precision_layers or high_precision_budget, too"
        )


def _check_target(target: TargetRow, where: str) -> None:
    try:
        check_row(target)
    except InputError as error:
        raise InputError(f"{where}.{error}") from None


def _check_network(row: NetworkRow, where: str) -> None:
    try:
        check(row.description)
    except InputError as error:
        raise InputError(f"{where}.{error}") from None
    if row.source == "basicsr" and (row.network == "mdsr" or row.upsampler == "direct"):
        raise InputError(f"{where}.source: basicsr has no mdsr and no direct upsampler; official has")


def _check_model(model: Model, params: Params, where: str) -> None:
    for name in model.evaluation:
        _check_use(params, name, (model.scale,), f"{where}.evaluation", paired=True)
    _check_use(params, model.calibration, (model.scale,), f"{where}.calibration", paired=False)
    if unknown := [key for key in model.reference if key not in REFERENCE_FIGURES]:
        raise InputError(f"{where}.reference.{unknown[0]}: unknown key; allowed: {listed(REFERENCE_FIGURES)}")
    if "card" in model.protocols and model.shape is None:
        raise InputError(f"{where}.shape: the card protocol needs a fixed shape, [height, width]")


def _check_training(training: Training, params: Params, where: str) -> None:
    learnt = scales(training.description)
    for key, names in (("datasets", training.datasets), ("validation", training.validation)):
        for name in names:
            _check_use(params, name, learnt, f"{where}.{key}", paired=True)
        if missing := set(learnt) - {params.datasets[name].scale for name in names}:
            raise InputError(f"{where}.{key}: none has scale {min(missing)}; MDSR learns {listed(learnt)}")
    if not training.start:
        raise InputError(f"{where}.start: empty; {layout.RANDOM_START} begins from random weights")


def _check_use(params: Params, name: str, allowed: Collection[int], where: str, *, paired: bool) -> None:
    if name not in params.datasets:
        raise InputError(f"{where}: no row {name!r} in datasets; it has {listed(params.datasets)}")
    dataset = params.datasets[name]
    if dataset.scale not in allowed:
        raise InputError(
            f"{where}: datasets.{name} has scale {dataset.scale}, this row has scale {listed(allowed)}"
        )
    if paired and not dataset.hr:
        raise InputError(f"{where}: datasets.{name} has no hr pattern: nothing to compare with")
