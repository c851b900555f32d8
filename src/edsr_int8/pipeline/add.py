"""`edsr-int8 add`: a checkpoint and folders of images -> rows of params.yaml."""

import math
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from edsr_int8.checkpoints.checkpoint import Checkpoint, open_unknown
from edsr_int8.checkpoints.settle import Stated, Verdict, settle
from edsr_int8.data.pairs.row import DatasetRow
from edsr_int8.errors import InputError
from edsr_int8.files import at_home, atomic, sha256
from edsr_int8.pipeline import layout, params
from edsr_int8.pipeline.image_folder import patterns
from edsr_int8.pipeline.insert_rows import insert_rows
from edsr_int8.pipeline.params import INVISIBLE_TO_DVC
from edsr_int8.pipeline.rows import Params

Row = dict[str, Any]
Rows = dict[str, Row]

SAMPLE_CROP = 256  # pixels of the sample's references that are scored, at most: a multiple of the scale


@dataclass(frozen=True)
class Wish:
    """What a user gives to `add`; None and '' where it is to be found."""

    weights: Path
    images: Path | None  # to score
    calibration: Path | None
    name: str
    scale: int | None  # which of MDSR's
    stated: Stated


def add(wish: Wish, file: Path) -> list[str]:
    """Insert a model row for `wish.weights`, and the data sets that it uses, into params.yaml at `file`.

    Returns what was found, how sure it is, and what was written, line by line. InputError: the checkpoint is
    none that can be converted; trying does not settle how it was trained; the name is taken.
    """
    rows = params.load(file)
    _check_stated(wish.stated)
    checkpoint = open_unknown(_at_home(wish.weights), scale=wish.scale)
    verdict = settle(checkpoint, wish.stated)
    if not verdict.sure and not _all_stated(wish.stated, checkpoint):
        raise InputError(f"{wish.weights}: {_question(verdict)}")
    name = wish.name or _free_name(_words(wish.weights.stem), _taken(rows))
    if name in _taken(rows) or not re.fullmatch(r"\w+", name, re.ASCII):
        raise InputError(f"--name: {name!r} is taken, or more than letters, digits and _; choose another")
    evaluation, calibration, new = _datasets(wish, checkpoint, name, rows)
    model = _model(wish, checkpoint, verdict, evaluation, calibration)
    _write(file, {"datasets": new, "models": {name: model}})
    added = [*(f"datasets.{key}" for key in new), f"models.{name}"]
    return [
        _found(wish.weights, checkpoint),
        _how_sure(verdict),
        *([GREY] if checkpoint.grey else []),
        f"{file}: added {', '.join(added)}; next: edsr-int8 check, dvc repro",
    ]


DIGITS = 6  # of a mean in 0..1: a ten-thousandth of a grey level
FLAGS = "--res-scale, --img-range, --rgb-mean"
GREY = "one channel: the network gets the luma of an image and gives a grey one, so it is scored in grey"


def _at_home(path: Path) -> Path:
    return Path(at_home(str(path)))


def _check_stated(stated: Stated) -> None:
    for flag, value in {"--res-scale": stated.res_scale, "--img-range": stated.img_range}.items():
        if value is not None and not 0 < value < math.inf:
            raise InputError(f"{flag}: found {value:g}; use a positive number")
    if any(not 0 <= x <= 1 for x in stated.rgb_mean or ()):
        raise InputError("--rgb-mean: use three numbers from 0 to 1, such as 0.4488 0.4371 0.404")


def _all_stated(stated: Stated, checkpoint: Checkpoint) -> bool:
    known = stated.res_scale is not None or checkpoint.description.network == "mdsr"
    shifted = stated.rgb_mean is not None or checkpoint.description.upsampler == "direct"
    return known and shifted and stated.img_range is not None


def _question(verdict: Verdict) -> str:
    return (
        "no tensor tells how it was trained, and trying does not either: a picture of one grey comes out "
        f"wrong {verdict.listed()}; say it with {FLAGS}"
    )


def _found(weights: Path, checkpoint: Checkpoint) -> str:
    d = checkpoint.description
    return (
        f"{weights}: {d.network} in the layout of {checkpoint.layout.publisher}, {d.features} features, "
        f"{d.blocks} blocks, x{d.scale}, upsampler {d.upsampler}: by names and shapes, for sure"
    )


def _how_sure(verdict: Verdict) -> str:
    others = {c: error for c, error in verdict.tried.items() if c != verdict.chosen}
    sure = "sure" if verdict.sure else "as you stated"
    line = f"{verdict.chosen}: {sure}; a picture of one grey comes out wrong by {verdict.error:.2g} levels"
    if not others:
        return line
    next_best = min(others, key=lambda c: others[c])
    return f"{line}; next best, by {others[next_best]:.2g}: {next_best}; override with {FLAGS}"


def _model(wish: Wish, checkpoint: Checkpoint, verdict: Verdict, evaluation: str, calibration: str) -> Row:
    d, convention = checkpoint.description, verdict.chosen.convention
    own = [] if checkpoint.grey else [checkpoint.layout.source]
    return {
        "source": checkpoint.layout.source,
        "network": d.network,
        "features": d.features,
        "blocks": d.blocks,
        "scale": d.scale,
        "res_scale": float(verdict.chosen.res_scale),
        "upsampler": d.upsampler,
        "img_range": convention.img_range,
        "rgb_mean": [round(x, DIGITS) for x in convention.rgb_mean],
        "weights": str(_at_home(wish.weights).absolute()),
        "sha256": sha256(_at_home(wish.weights)),
        "evaluation": [evaluation],
        "calibration": calibration,
        "protocols": own if d.scale == 1 and own else [*own, "benchmark_y"],
        "shape": "native",
    }


def _datasets(wish: Wish, checkpoint: Checkpoint, name: str, rows: Params) -> tuple[str, str, Rows]:
    """The row to score and the row to calibrate on, and those of them that params.yaml does not have yet."""
    scale, new = checkpoint.description.scale, Rows()
    keys = []
    for part, folder in (("evaluation", wish.images), ("calibration", wish.calibration)):
        row = _folder_row(folder, scale) if folder else _sample_row(part, scale)
        same = [key for key, other in rows.datasets.items() if other == DatasetRow(**row)]
        stem = f"{name}_{part}" if folder else f"sample_{'blur' if scale == 1 else f'x{scale}'}_{part}"
        key = same[0] if same else _free_name(stem, {*rows.datasets, *new})
        new |= {} if same else {key: row}
        keys.append(key)
    return keys[0], keys[1], new


def _folder_row(folder: Path, scale: int) -> Row:
    hr, lr = patterns(folder)
    return _dataset_row(str(_at_home(folder).absolute()), hr, lr, scale)


def _sample_row(part: str, scale: int) -> Row:
    """The photographs of scikit-image, as presets/sample.yaml has them: their middle."""
    row = _dataset_row(layout.SAMPLE.as_posix(), f"{part}/*.png", "", scale)
    row["crop"] = SAMPLE_CROP // scale * scale
    return row | ({"seed": {"evaluation": 1, "calibration": 2}[part]} if scale == 1 else {})


def _dataset_row(path: str, hr: str, lr: str, scale: int) -> Row:
    return {"task": "deblur" if scale == 1 else "sr", "scale": scale, "path": path, "hr": hr, "lr": lr}


def _words(stem: str) -> str:
    """A row's name out of a file's: letters, digits and _."""
    return re.sub(r"\W+", "_", stem, flags=re.ASCII).strip("_") or "model"


def _taken(rows: Params) -> set[str]:
    return {*rows.models, *layout.RESERVED_MODELS, *INVISIBLE_TO_DVC}


def _free_name(wanted: str, taken: Collection[str]) -> str:
    """`wanted`, with a number after it where it is taken."""
    number, name = 2, wanted
    while name in taken:
        name, number = f"{wanted}_{number}", number + 1
    return name


def _write(file: Path, new: Mapping[str, Rows]) -> None:
    """Insert the rows by section, unless what comes out is not what was there and they."""
    text = file.read_bytes().decode()
    changed = text
    for section, rows in new.items():
        changed = insert_rows(changed, section, rows)
    with atomic(file) as temporary:
        temporary.write_bytes(changed.encode())
        params.load(temporary)
        before, after = (YAML(typ="safe").load(each) for each in (text, changed))
        for section, rows in new.items():
            before[section] = before[section] | rows
        if before != after:
            raise AssertionError(f"{file}: rows were not inserted as meant; it is as it was")
