"""A row of `datasets` made into the canonical set that `read_pairs` reads: every image an 8-bit RGB PNG."""

import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from edsr_int8.data.degrade.bicubic import reduce
from edsr_int8.data.degrade.blur import shake
from edsr_int8.data.images import Image, is_rgb_png, read_rgb, write_png
from edsr_int8.data.pairs.matching import SourcePair, find_pairs
from edsr_int8.errors import InputError
from edsr_int8.files import atomic_folder, link
from edsr_int8.machine import cores
from edsr_int8.progress import bar

WORKERS = min(8, cores())  # each holds a few copies of one image
WRITABLE = 0o222


def make_dataset(
    row: str,
    folder: Path,
    out: Path,
    *,
    task: str,
    scale: int,
    hr: str,
    lr: str,
    limit: int = 0,
    seed: int = 0,
    copies: int = 1,
) -> None:
    """Write the pairs of `folder` (see `find_pairs`) to out/{lr,hr}/<name>.png, whole or not at all.

    hr '' writes lr only. lr '' makes lr from hr: by MATLAB's bicubic (task sr), or by camera shake (task
    deblur), `copies` of each photograph, named <name>_0, <name>_1, ... InputError where the pairs do not fit
    or an image does not decode; every text begins with the row.
    """
    try:
        found = find_pairs(folder, hr=hr, lr=lr, scale=scale, limit=limit)
        jobs = _shaken(found, seed, copies) if task == "deblur" and not lr else _reduced(found, scale)
        with atomic_folder(out) as part, ThreadPoolExecutor(WORKERS) as pool:
            made = pool.map(lambda job: _make(*job, scale=scale, out=part), jobs)
            for _ in bar(made, row, total=len(jobs), unit="image"):
                pass
    except InputError as error:
        raise InputError(f"datasets.{row}: {error}") from None


Job = tuple[str, SourcePair, Callable[[Image], Image]]


def _reduced(found: list[SourcePair], scale: int) -> list[Job]:
    return [(pair.name, pair, partial(reduce, factor=scale)) for pair in found]


def _shaken(found: list[SourcePair], seed: int, copies: int) -> list[Job]:
    return [
        (pair.name if copies == 1 else f"{pair.name}_{copy}", pair, partial(shake, seed=(seed, index, copy)))
        for index, pair in enumerate(found)
        for copy in range(copies)
    ]


def _make(name: str, pair: SourcePair, degrade: Callable[[Image], Image], *, scale: int, out: Path) -> None:
    lr_png, hr_png = out / "lr" / f"{name}.png", out / "hr" / f"{name}.png"
    if pair.lr:
        _write(lr_png, read_rgb(pair.lr), pair.lr)
    if pair.hr:
        whole = read_rgb(pair.hr)
        height, width = (length // scale * scale for length in whole.shape[:2])
        image = whole[:height, :width]
        _write(hr_png, image, pair.hr if image.shape == whole.shape else None)
        if not pair.lr:
            write_png(lr_png, degrade(image))


def _write(png: Path, image: Image, source: Path | None) -> None:
    """Write `image`, or take the file `source` that it was read from, where that already is such a PNG."""
    if source is None or not is_rgb_png(source):
        write_png(png, image)
    elif _is_shared(source):
        link(source.resolve(), png)  # a hard link to a relative symlink would lead nowhere
    else:
        png.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, png)


def _is_shared(path: Path) -> bool:
    """Whether the file is one of DVC's hard links into its cache: those only may get one link more.

    A link to a user's own file would let DVC write-protect it, and a change to that file spoil the cache.
    """
    status = path.stat()
    return status.st_nlink > 1 and not status.st_mode & WRITABLE
