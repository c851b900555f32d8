"""What a run would need, said before anything runs: files that must be there, bytes to fetch, disk."""

import configparser
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from edsr_int8.data.pairs.row import DatasetRow
from edsr_int8.files import sha256
from edsr_int8.pipeline import layout
from edsr_int8.pipeline.disk_estimate import disk_bytes
from edsr_int8.pipeline.rows import Params, named_paths

WIDE = 256  # features of those networks that are trained with res_scale 0.1 (Lim et al. 2017, table 1)


@dataclass(frozen=True)
class Plan:
    problems: tuple[str, ...]  # a run would stop at these
    warnings: tuple[str, ...]
    unpinned: tuple[str, ...]  # what to add to rows so that no other weights are ever taken for theirs
    fetch_bytes: int  # still to download, of the rows that state their bytes
    fetch_unknown: tuple[str, ...]  # rows to download whose bytes are not stated
    disk_bytes: int  # needed, roughly
    free_bytes: int


def plan(params: Params, root: Path) -> Plan:
    """Look at the rows and the disk below `root`; decode no image and fetch nothing."""
    wanted = {key: row for key, row in params.downloads.items() if not (root / layout.fetched(key)).exists()}
    fetch_bytes = sum(row.bytes for row in wanted.values())
    needed_bytes = disk_bytes(params, root, fetch_bytes)
    free_bytes = shutil.disk_usage(root).free
    return Plan(
        problems=(
            *_missing_git(root),
            *_not_ours(root),
            *_missing_files(params, root),
            *_unfit_paths(params, root),
            *_full_disk(needed_bytes, free_bytes),
        ),
        warnings=(
            *_path_warnings(params),
            *_missing_outputs(params, root),
            *_res_scale_warnings(params),
            *_calibration_warnings(params),
            *_fid_warnings(params, root),
        ),
        unpinned=tuple(_unpinned(params, root)),
        fetch_bytes=fetch_bytes,
        fetch_unknown=tuple(key for key, row in wanted.items() if not row.bytes),
        disk_bytes=needed_bytes,
        free_bytes=free_bytes,
    )


def _missing_git(root: Path) -> list[str]:
    """DVC stops without a git repository unless it is told not to look for one."""
    folder = root.resolve()
    if any((above / ".git").exists() for above in (folder, *folder.parents)):
        return []
    settings = configparser.ConfigParser()
    settings.read([folder / ".dvc/config", folder / ".dvc/config.local"])
    if settings.getboolean("core", "no_scm", fallback=False):
        return []
    return [
        f"{folder}: not in a git repository, which DVC needs: git init && git add . && git commit -m start; "
        "or, to run without experiments, dvc config --local core.no_scm true"
    ]


def _not_ours(root: Path) -> list[str]:
    """Places where a run would write and may not: another user's, or read-only."""
    names = (".dvc", ".dvc/tmp", ".dvc/cache", "build", "results", "data/fetched", "dvc.lock", "pipeline")
    here = [name for name in names if (root / name).exists() and not os.access(root / name, os.W_OK)]
    if not here:
        return []
    return [
        f"{', '.join(here)}: you may not write there: owned by {_owner(root / here[0])}, or read-only; "
        "work in a clone of your own (docs/scaling.md: what two users can share)"
    ]


def _owner(path: Path) -> str:
    try:
        return path.owner()
    except KeyError:  # a number without a name
        return f"user {path.stat().st_uid}"


def _full_disk(needed_bytes: int, free_bytes: int) -> list[str]:
    if needed_bytes <= free_bytes:
        return []
    return [f"disk: needs about {needed_bytes / 1e9:.1f} GB, {free_bytes / 1e9:.1f} GB are free; make room"]


def _produced(params: Params) -> list[Path]:
    """Folders that stages fill: what lies in them need not be there yet."""
    folders = [layout.SAMPLE]
    folders += [layout.fetched(key) for key in params.downloads]
    return folders + [layout.training(key) for key in params.training]


def _missing_files(params: Params, root: Path) -> list[str]:
    produced = _produced(params)
    missing = []
    for key, name in named_paths(params):
        path = Path(name)
        if not (root / path).exists() and not any(_overlap(path, folder) for folder in produced):
            missing.append(
                f"params.yaml: {key}: {name} is not there, and no downloads or training row makes it"
            )
    return missing


def _unfit_paths(params: Params, root: Path) -> list[str]:
    """What DVC would hash without end, or together with all that it writes itself."""
    unfit = []
    for key, name in named_paths(params):
        path = root / name
        if not key.startswith("datasets.") and path.exists() and not path.is_file():
            unfit.append(f"params.yaml: {key}: {name!r} is no plain file; name the checkpoint itself")
        elif root.resolve().is_relative_to(path.resolve()):
            unfit.append(f"params.yaml: {key}: {name!r} holds the repository; name the folder of the images")
    return unfit


def _unpinned(params: Params, root: Path) -> list[str]:
    """Weights that are there, and that nothing knows by hash: no row, and no download."""
    rows = {key: row.weights for key, row in params.models.items() if not row.sha256}
    produced = _produced(params)
    return [
        f"models.{key}: add sha256: {sha256(root / name)}, so that no other file is taken for these weights"
        for key, name in rows.items()
        if (root / name).is_file() and not any(_overlap(Path(name), folder) for folder in produced)
    ]


def _overlap(path: Path, folder: Path) -> bool:
    """Whether one lies in the other: a folder above a produced one will be there too."""
    return path.is_relative_to(folder) or folder.is_relative_to(path)


def _path_warnings(params: Params) -> list[str]:
    outside = [(key, name) for key, name in named_paths(params) if ".." in Path(name).parts]
    return [
        f"params.yaml: {key}: {name} is relative and leaves the repository: queued experiments run in a copy "
        "of the repository and need an absolute path"
        for key, name in outside
    ]


def _missing_outputs(params: Params, root: Path) -> list[str]:
    """Rows of the accelerator whose outputs are still to be copied back: the rest of the run goes on."""
    rows = {key: row.outputs for key, row in params.targets.items() if row.runtime == "vacc" and row.outputs}
    return [
        f"params.yaml: targets.{key}.outputs: {name} is not there yet: its rows will be unavailable"
        for key, name in rows.items()
        if not (root / name).is_dir()
    ]


def _res_scale_warnings(params: Params) -> list[str]:
    """No tensor tells res_scale: the wrong one converts, exports, and makes bad pictures."""
    suspects = [key for key, row in params.models.items() if row.features >= WIDE and row.res_scale == 1]
    return [
        f"params.yaml: models.{key}.res_scale: 1 at {params.models[key].features} features; the published "
        "networks as wide as that were trained with 0.1"
        for key in suspects
    ]


def _calibration_warnings(params: Params) -> list[str]:
    """Ranges that are chosen on the images that are scored flatter the score."""
    return [
        f"params.yaml: models.{key}: datasets.{name} is evaluated and shares its images with "
        f"datasets.{model.calibration}, which it is calibrated on; calibrate on other images"
        for key, model in params.models.items()
        for name in model.evaluation
        if _files(params.datasets[name]) & _files(params.datasets[model.calibration])
    ]


def _files(row: DatasetRow) -> set[tuple[Path, str]]:
    """The patterns that a data set finds its images by."""
    return {(Path(row.path), pattern) for pattern in (row.hr, row.lr) if pattern}


def _fid_warnings(params: Params, root: Path) -> list[str]:
    fid = params.fid
    if fid is None or fid.urls or params.mirror or (root / fid.weights).exists():
        return []
    return [f"params.yaml: fid.weights: {fid.weights} is not there, and no urls: FID will be left out"]
