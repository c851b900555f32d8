"""A row of `datasets` made into the set that `read_pairs` reads: every image an 8-bit RGB PNG."""

import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from edsr_int8.data.degrade.bicubic import reduce
from edsr_int8.data.degrade.blur import shake
from edsr_int8.data.images import Image, is_rgb_png, read_rgb, write_png
from edsr_int8.data.pairs.matching import SourcePair, find_pairs
from edsr_int8.data.pairs.row import DatasetRow
from edsr_int8.errors import InputError
from edsr_int8.files import atomic_folder, link
from edsr_int8.machine import cores
from edsr_int8.progress import bar

MOST_WORKERS = 8  # each holds a few copies of one image
WRITABLE = 0o222


@dataclass(frozen=True)
class Job:
    """One pair to write; `degrade` makes lr from hr where the pair has no lr."""

    name: str
    pair: SourcePair
    degrade: Callable[[Image], Image]


def make_dataset(row: DatasetRow, out: Path) -> None:
    """Write the pairs of folder `row.path` to out/{lr,hr}/<name>.png, all or none (see `find_pairs`).

    hr '' writes lr only. lr '' makes lr from hr: by MATLAB's bicubic (task sr), or by camera shake (task
    deblur), `row.copies` of each photograph, named <name>_0, <name>_1, ... `row.crop` keeps the centre of
    what that gave. InputError: the pairs do not fit, or an image does not decode or is smaller than the crop.
    """
    found = find_pairs(Path(row.path), hr=row.hr, lr=row.lr, scale=row.scale, limit=row.limit)
    jobs = _shakes(found, row) if row.task == "deblur" and not row.lr else _reductions(found, row)
    workers = min(MOST_WORKERS, cores())
    with atomic_folder(out) as folder, ThreadPoolExecutor(workers) as pool:
        made = pool.map(lambda job: _make(job, row, folder), jobs)
        for _ in bar(made, out.name, total=len(jobs), unit="image"):
            pass


def _reductions(found: list[SourcePair], row: DatasetRow) -> list[Job]:
    return [Job(pair.name, pair, partial(reduce, factor=row.scale)) for pair in found]


def _shakes(found: list[SourcePair], row: DatasetRow) -> list[Job]:
    return [
        Job(
            pair.name if row.copies == 1 else f"{pair.name}_{copy}",
            pair,
            partial(shake, seed=(row.seed, index, copy)),
        )
        for index, pair in enumerate(found)
        for copy in range(row.copies)
    ]


def _make(job: Job, row: DatasetRow, out: Path) -> None:
    lr_png, hr_png = (out / side / f"{job.name}.png" for side in ("lr", "hr"))
    lr, hr, scale, side = job.pair.lr, job.pair.hr, row.scale, row.crop // row.scale
    if lr:
        whole = read_rgb(lr)
        _write(lr_png, _centre(whole, side, 1, lr), whole, lr)
    if hr:
        whole = read_rgb(hr)
        height, width = (length // scale * scale for length in whole.shape[:2])
        image = whole[:height, :width]
        _write(hr_png, _centre(image, side, scale, hr), whole, hr)
        if not lr:
            write_png(lr_png, _centre(job.degrade(image), side, 1, hr))


def _centre(image: Image, side: int, scale: int, source: Path) -> Image:
    """The middle of an image of `source`, `side` * `scale` pixels a side from multiples of `scale` on.

    For side 0 all of it.
    """
    if not side:
        return image
    if min(image.shape[:2]) < side * scale:
        height, width = image.shape[:2]
        raise InputError(f"{source}: {height}x{width} pixels of it are there, crop asks for {side * scale}")
    top, left = ((length // scale - side) // 2 * scale for length in image.shape[:2])
    return image[top : top + side * scale, left : left + side * scale]


def _write(png: Path, image: Image, whole: Image, source: Path) -> None:
    """Write `image`; if it is all of `source`, `whole`, and that is such a PNG, link or copy it instead."""
    if image.shape != whole.shape or not is_rgb_png(source):
        write_png(png, image)
    elif _is_shared(source):
        link(source.resolve(), png)  # a hard link to a relative symlink would lead nowhere
    else:
        png.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, png)


def _is_shared(path: Path) -> bool:
    """Whether the file is a hard link into DVC's cache: only such a file may get another link.

    A link to a user's own file would let DVC write-protect it, and a change of it would damage the cache.
    """
    status = path.stat()
    return status.st_nlink > 1 and not status.st_mode & WRITABLE
