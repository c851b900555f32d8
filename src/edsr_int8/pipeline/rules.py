"""What the rows of params.yaml must satisfy beyond their types: each in itself, and among each other."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from edsr_int8.data.download.urls import check_url
from edsr_int8.data.pairs.patterns import check_pattern
from edsr_int8.data.pairs.row import DatasetRow
from edsr_int8.errors import InputError
from edsr_int8.files import at_home
from edsr_int8.models.complexity import parameters
from edsr_int8.models.description import NetworkRow, check, scales
from edsr_int8.pipeline import layout
from edsr_int8.pipeline.rows import (
    REFERENCE_FIGURES,
    REFERENCE_PRECISION,
    REFERENCE_TARGET,
    Fid,
    Model,
    Params,
    named_paths,
)
from edsr_int8.quantization.recipe import Override, RangeEstimator, Recipe
from edsr_int8.quantization.scheme import DEFAULT
from edsr_int8.targets.row import TargetRow, check_row
from edsr_int8.training.schedule import Training

MOST_PARAMETERS = 500_000_000  # the largest published EDSR has 43 million
MOST_PIXELS_OF_STATISTICS = 2**26  # 0.2 GB, kept in memory
MOST_PIXELS_A_STEP = 2**24  # one activation of 64 features then takes 4 GB


def check_rows(params: Params, tree: Mapping[str, Any]) -> None:
    """InputError, beginning with section and row: a contradiction, or a key that would be ignored.

    `tree` is what `params` was read from: it says which keys were given.
    """
    _check_reserved_names(params)
    _check_reference_rows(params)
    _check_paths(params)
    for key, download in params.downloads.items():
        _check_digest(download.sha256, f"downloads.{key}")
        _check_urls(download.urls, f"downloads.{key}.urls")
    _check_urls([params.mirror] if "://" in params.mirror else [], "mirror")
    if params.fid:
        _check_fid(params.fid)
    for key, dataset in params.datasets.items():
        _check_dataset(dataset, tree["datasets"][key], f"datasets.{key}")
    for key, recipe in params.precisions.items():
        _check_recipe(recipe, tree["precisions"][key], f"precisions.{key}")
    for key, target in params.targets.items():
        _check_target(target, f"targets.{key}")
    for key, model in params.models.items():
        _check_network(model, f"models.{key}")
        _check_model(model, params, f"models.{key}")
    for key, training in params.training.items():
        _check_network(training, f"training.{key}")
        _check_training(training, params, f"training.{key}")


def _check_reserved_names(params: Params) -> None:
    for name, reserved in layout.RESERVED.items():
        if taken := [key for key in getattr(params, name) if key in reserved]:
            raise InputError(f"{name}.{taken[0]}: the pipeline uses this name itself; choose another")


def _check_reference_rows(params: Params) -> None:
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


def _check_paths(params: Params) -> None:
    for key, path in named_paths(params):
        if (full := at_home(path, key)) != path:
            raise InputError(f"{key}: DVC does not know that ~ in {path} is your home; write {full}")


def _check_digest(sha256: str, where: str) -> None:
    if not re.fullmatch(r"[0-9a-f]{8,64}", sha256):
        raise InputError(f"{where}.sha256: expected 8 to 64 lower-case hex digits, found {sha256!r}")


def _check_urls(urls: Iterable[str], where: str) -> None:
    for url in urls:
        try:
            check_url(url)
        except InputError as error:
            raise InputError(f"{where}: {error}") from None


def _check_fid(fid: Fid) -> None:
    _check_digest(fid.sha256, "fid")
    _check_urls(fid.urls, "fid.urls")
    if Path(fid.weights).is_relative_to(layout.fetched("")):
        # A row of downloads may run after the stage that looks for this file, which would then fail.
        raise InputError(
            f"fid.weights: {fid.weights} is for downloads; take another folder, and list urls here"
        )


def _check_dataset(dataset: DatasetRow, given: Collection[str], where: str) -> None:
    if not dataset.hr and not dataset.lr:
        raise InputError(f"{where}: hr and lr are both empty; give at least one pattern")
    for key, pattern in {"hr": dataset.hr, "lr": dataset.lr}.items():
        try:
            if pattern:
                check_pattern(pattern)
        except InputError as error:
            raise InputError(f"{where}.{key}: {error}") from None
    if dataset.task == "sr" or dataset.lr:
        for key in sorted({"seed", "copies"}.intersection(given)):
            raise InputError(
                f"{where}.{key}: is for camera shakes, made for task deblur with lr '' only; leave it out"
            )
    if dataset.crop % dataset.scale:
        raise InputError(f"{where}.crop: {dataset.crop} is no multiple of scale {dataset.scale}")
    if (dataset.task == "deblur") != (dataset.scale == 1):
        raise InputError(
            f"{where}.scale: found {dataset.scale} for task {dataset.task}; deblur is 1, sr is more"
        )


def _check_once(names: Sequence[str], where: str) -> None:
    """InputError: a name comes twice, and with it each of its rows in the table."""
    if twice := [name for number, name in enumerate(names) if name in names[:number]]:
        raise InputError(f"{where}: names {twice[0]} twice; name it once")


def _check_recipe(recipe: Recipe, given: Mapping[str, Any], where: str) -> None:
    if recipe.dtype != "int8":
        if ignored := [key for key in given if key != "dtype"]:
            raise InputError(f"{where}.{ignored[0]}: a {recipe.dtype} row takes dtype only; leave it out")
        return
    if not recipe.ranges:
        raise InputError(f"{where}: missing ranges; allowed: {_listed(get_args(RangeEstimator))}")
    _check_ranges(recipe, where)
    wanted = recipe.statistics
    _check_pixels(wanted.crops, wanted.patch, MOST_PIXELS_OF_STATISTICS, f"{where}.statistics.crops")
    _check_pixels(recipe.finetune.batch, wanted.patch, MOST_PIXELS_A_STEP, f"{where}.finetune.batch")
    for index, override in enumerate(recipe.overrides):
        _check_ranges(override, f"{where}.overrides[{index}]")
    if "statistics" in given and not recipe.needs_crops:
        raise InputError(f"{where}.statistics: nothing in this row learns from crops; leave it out")
    if "batch" in given.get("finetune", {}) and not recipe.finetune.steps:
        raise InputError(f"{where}.finetune.batch: is ignored with 0 steps; leave it out, or give steps")
    if recipe.high_precision_layers and recipe.high_precision_budget:
        raise InputError(
            f"{where}: high_precision_layers and high_precision_budget both choose what stays above 8 bits; "
            "give one"
        )
    if "high_precision_dtype" in given and not recipe.high_precision:
        raise InputError(
            f"{where}.high_precision_dtype: nothing in this row is above 8 bits; leave it out, "
            "or give high_precision_layers or high_precision_budget"
        )
    if recipe.high_precision_dtype == "uint16" and recipe.scheme != DEFAULT:
        raise InputError(f"{where}.high_precision_dtype: uint16 is for scheme: {DEFAULT} alone")
    _check_structure(recipe, where)


def _check_structure(recipe: Recipe, where: str) -> None:
    if recipe.collapse_tail and not recipe.high_precision and recipe.carriers.tail == 1:
        raise InputError(
            f"{where}.collapse_tail: needs carriers.tail, which carries what the last convolution fetches; "
            "give carriers: {tail: 2}, or high_precision_layers or high_precision_budget"
        )
    if recipe.fold_head and not (recipe.fold_long_skip or recipe.high_precision):
        raise InputError(f"{where}.fold_head: needs fold_long_skip, which gathers the pixels; give it, too")
    if recipe.carriers.trunk > 1 and not recipe.fold_long_skip:
        raise InputError(f"{where}.carriers.trunk: is ignored without fold_long_skip; give it, too")
    if recipe.carriers.tail > 1 and not recipe.collapse_tail:
        raise InputError(f"{where}.carriers.tail: is ignored without collapse_tail; give it, too")
    for key in ("carriers", "cover_colours"):
        if recipe.high_precision and getattr(recipe, key) != getattr(Recipe("int8"), key):
            raise InputError(
                f"{where}.{key}: is for strict int8, without high-precision layers; leave it out"
            )


def _check_pixels(count: int, side: int, most: int, where: str) -> None:
    """InputError: so many square crops of so many pixels a side take more memory than machines have."""
    if count * side**2 > most:
        raise InputError(f"{where}: {count} crops of {side}x{side} pixels; at most {most} pixels together")


def _check_ranges(estimator: Recipe | Override, where: str) -> None:
    if estimator.ranges == "percentile" and estimator.percentile is None:
        raise InputError(f"{where}: missing percentile, which ranges: percentile needs; such as 99.999")
    if estimator.ranges != "percentile" and estimator.percentile is not None:
        raise InputError(
            f"{where}.percentile: is ignored with ranges: {estimator.ranges}; leave it out, "
            "or set ranges to percentile"
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
    if (count := parameters(row.description)) > MOST_PARAMETERS:
        raise InputError(
            f"{where}: {row.features} features and {row.blocks} blocks have {count} parameters; at most "
            f"{MOST_PARAMETERS}, 2 GB, fit into an ONNX file"
        )
    if row.source == "basicsr" and (row.network == "mdsr" or row.upsampler == "direct"):
        raise InputError(f"{where}.source: basicsr has no mdsr and no direct upsampler; official has")


def _check_model(model: Model, params: Params, where: str) -> None:
    _check_once(model.evaluation, f"{where}.evaluation")
    _check_once(model.protocols, f"{where}.protocols")
    if model.sha256:
        _check_digest(model.sha256, where)
    for name in model.evaluation:
        _check_use(params, name, (model.scale,), f"{where}.evaluation", paired=True)
    _check_use(params, model.calibration, (model.scale,), f"{where}.calibration", paired=False)
    if unknown := [key for key in model.reference if key not in REFERENCE_FIGURES]:
        raise InputError(
            f"{where}.reference.{unknown[0]}: unknown key; allowed: {_listed(REFERENCE_FIGURES)}"
        )
    if "card" in model.protocols and model.fixed_shape is None:
        raise InputError(f"{where}.shape: the card protocol needs a fixed shape, [height, width]")


def _check_training(training: Training, params: Params, where: str) -> None:
    learnt = scales(training.description)
    _check_once(training.validation, f"{where}.validation")
    _check_pixels(training.batch, training.patch, MOST_PIXELS_A_STEP, f"{where}.batch")
    for key, names in (("datasets", training.datasets), ("validation", training.validation)):
        for name in names:
            _check_use(params, name, learnt, f"{where}.{key}", paired=True)
        if missing := set(learnt) - {params.datasets[name].scale for name in names}:
            raise InputError(f"{where}.{key}: none has scale {min(missing)}; MDSR learns {_listed(learnt)}")
    if not training.start:
        raise InputError(f"{where}.start: empty; {layout.RANDOM_START} begins from random weights")


def _check_use(params: Params, name: str, allowed: Collection[int], where: str, *, paired: bool) -> None:
    if name not in params.datasets:
        raise InputError(f"{where}: no row {name!r} in datasets; it has {_listed(params.datasets)}")
    dataset = params.datasets[name]
    if dataset.scale not in allowed:
        raise InputError(
            f"{where}: datasets.{name} has scale {dataset.scale}, this row has scale {_listed(allowed)}"
        )
    if paired and not dataset.hr:
        raise InputError(f"{where}: datasets.{name} has no hr pattern: nothing to compare with")


def _listed(names: Iterable[object]) -> str:
    return ", ".join(map(str, names)) or "none"
