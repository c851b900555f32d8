"""Roughly how much disk a run takes, from the sizes of files that are there and the bytes that rows state."""

from pathlib import Path

from edsr_int8.data.images import image_shape
from edsr_int8.data.pairs.patterns import find_files
from edsr_int8.data.pairs.row import DatasetRow
from edsr_int8.errors import InputError
from edsr_int8.pipeline import layout
from edsr_int8.pipeline.rows import Params

PNG_RATIO = 2  # bytes of a photograph's pixels over those of its PNG: DIV2K's are 1.9


def disk_bytes(params: Params, root: Path, fetch_bytes: int) -> int:
    """Archives beside their unpacked images, the output images of every build, what training decodes."""
    return 2 * fetch_bytes + _output_bytes(params, root) + _decoded_bytes(params, root)


def _output_bytes(params: Params, root: Path) -> int:
    """Output images take about what their references take: once for each model, precision and target."""
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
    """Of the unfinished training row that decodes most: a row deletes its pixels when it ends."""
    rows = [row for key, row in params.training.items() if not (root / layout.training(key)).exists()]
    uses = [[*set(row.datasets), *set(row.validation)] for row in rows]  # each kind in a store of its own
    return max((sum(_pixel_bytes(params, name, root) for name in names) for names in uses), default=0)


def _pixel_bytes(params: Params, name: str, root: Path) -> int:
    """Three bytes for each pixel of a data set's references, and of the smaller images that go with them.

    For references that are not fetched yet, those of the whole archive, whatever `limit` says.
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
