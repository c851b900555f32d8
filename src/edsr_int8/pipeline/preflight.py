"""What a run would need, said before anything runs: files that must be there, bytes to fetch, disk."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from edsr_int8.data.images import image_shape
from edsr_int8.data.pairs.patterns import find_files
from edsr_int8.data.pairs.row import DatasetRow
from edsr_int8.errors import InputError
from edsr_int8.pipeline import layout
from edsr_int8.pipeline.rows import Params, named_paths

WIDE = 256  # features of those networks that are trained with res_scale 0.1 (Lim et al. 2017, table 1)
PNG_RATIO = 2  # bytes of a photograph's pixels over those of its PNG: DIV2K's are 1.9


@dataclass(frozen=True)
class Plan:
    problems: tuple[str, ...]  # a run would stop at these
    warnings: tuple[str, ...]
    fetch_bytes: int  # still to download, of the rows that state their bytes
    fetch_unknown: tuple[str, ...]  # rows to download whose bytes are not stated
    # Rough: archives beside their unpacked images, every build's output images, what training decodes.
    disk_bytes: int
    free_bytes: int


def plan(params: Params, root: Path) -> Plan:
    """Look at the rows and the disk below `root`; decode no image and fetch nothing."""
    wanted = {key: row for key, row in params.downloads.items() if not (root / layout.fetched(key)).exists()}
    fetch_bytes = sum(row.bytes for row in wanted.values())
    disk_bytes = 2 * fetch_bytes + _output_bytes(params, root) + _decoded_bytes(params, root)
    free_bytes = shutil.disk_usage(root).free
    problems = _missing(params, root)
    warnings = _warnings(params, root)
    if disk_bytes > free_bytes:
        problems.append(
            f"disk: needs about {disk_bytes / 1e9:.1f} GB, {free_bytes / 1e9:.1f} GB are free; make room"
        )
    unknown = tuple(key for key, row in wanted.items() if not row.bytes)
    return Plan(tuple(problems), tuple(warnings), fetch_bytes, unknown, disk_bytes, free_bytes)


def _produced(params: Params) -> list[Path]:
    """Folders that stages fill: what lies in them need not be there yet."""
    folders = [layout.SAMPLE]
    folders += [layout.fetched(key) for key in params.downloads]
    return folders + [layout.training(key) for key in params.training]


def _missing(params: Params, root: Path) -> list[str]:
    produced = _produced(params)
    missing = []
    for key, name in named_paths(params):
        path = Path(name)
        if not (root / path).exists() and not any(_overlap(path, folder) for folder in produced):
            missing.append(
                f"params.yaml: {key}: {name} is not there, and no downloads or training row makes it"
            )
    return missing


def _overlap(path: Path, folder: Path) -> bool:
    """Whether one lies in the other: a folder above a produced one will be there too."""
    return path.is_relative_to(folder) or folder.is_relative_to(path)


def _warnings(params: Params, root: Path) -> list[str]:
    found = [*_path_warnings(params), *_missing_outputs(params, root)]
    return [*found, *_res_scale_warnings(params), *_fid_warnings(params, root)]


def _path_warnings(params: Params) -> list[str]:
    outside = [(key, name) for key, name in named_paths(params) if ".." in Path(name).parts]
    return [
        f"params.yaml: {key}: {name} is relative and leaves the repository: queued experiments run in a copy "
        "of the repository and need an absolute path"
        for key, name in outside
    ]


def _missing_outputs(params: Params, root: Path) -> list[str]:
    """Rows of the vendor's card whose outputs are still to be copied back: the rest of the run goes on."""
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


def _fid_warnings(params: Params, root: Path) -> list[str]:
    fid = params.fid
    if fid is None or fid.urls or params.mirror or (root / fid.weights).exists():
        return []
    return [f"params.yaml: fid.weights: {fid.weights} is not there, and no urls: FID will be left out"]


def _output_bytes(params: Params, root: Path) -> int:
    """Output images weigh about what their references do: once a model, precision and target."""
    builds = len(params.precisions) * len(params.targets)
    uses = [name for model in params.models.values() for name in model.evaluation]
    return builds * sum(_reference_bytes(params, name, root) for name in uses)


def _reference_bytes(params: Params, name: str, root: Path) -> int:
    return sum(file.stat().st_size for file in _references(params.datasets[name], root))


def _references(row: DatasetRow, root: Path) -> list[Path]:
    """Those that are there already."""
    found = find_files(root / row.path, row.hr) if row.hr else []
    return found[: row.limit or None]


def _decoded_bytes(params: Params, root: Path) -> int:
    """Of the unfinished training row that decodes most: the pixels of a row go when it ends."""
    rows = [row for key, row in params.training.items() if not (root / layout.training(key)).exists()]
    uses = [[*set(row.datasets), *set(row.validation)] for row in rows]  # each kind in a store of its own
    return max((sum(_pixel_bytes(params, name, root) for name in names) for names in uses), default=0)


def _pixel_bytes(params: Params, name: str, root: Path) -> int:
    """Of a data set's references, three bytes each, and of the images made smaller that go with them.

    Of references still to be fetched, whatever `limit` says: all that their archive holds.
    """
    row = params.datasets[name]
    pixels = sum(row.copies * 3 * _area(file) for file in _references(row, root))
    archives = [params.downloads[key].bytes for key in params.downloads if _lies_in(row, layout.fetched(key))]
    return int((pixels or PNG_RATIO * sum(archives)) * (1 + 1 / row.scale**2))


def _lies_in(row: DatasetRow, folder: Path) -> bool:
    return Path(row.path, row.hr).is_relative_to(folder)


def _area(file: Path) -> int:
    """0 where it is no image: the stage that reads it says so."""
    try:
        height, width = image_shape(file)
    except InputError:
        return 0
    return height * width
