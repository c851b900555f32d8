"""Pictures through one build, for people who just want the pictures."""

from collections.abc import Iterable
from pathlib import Path

from edsr_int8.data.images import SUFFIXES, read_rgb, write_png
from edsr_int8.errors import InputError
from edsr_int8.progress import bar
from edsr_int8.targets.base import Unavailable, open_target
from edsr_int8.targets.execution.upscale import open_build
from edsr_int8.targets.row import TargetRow


def apply(model: Path, source: Path, destination: Path, row: TargetRow) -> None:
    """Run the picture `source`, or every picture in the folder `source`, through `model`; write PNG.

    Photographs come out upright. Each picture is tiled within the row's memory budget. A folder gives a
    folder: <source>/a/b.jpg becomes <destination>/a/b.png; hidden files and files that are no pictures are
    passed over. InputError: a picture cannot be read, two would get one name, the target cannot run the
    build, or the budget is too small. Pictures written before stay.
    """
    jobs = _folder_jobs(source, destination) if source.is_dir() else [_job(source, destination)]
    target = open_target(row)
    if not target.capabilities.dynamic_shape:
        raise InputError(f"--target: {row.runtime} runs one fixed shape, and pictures have many")
    try:
        upscale = open_build(target, model)
        for path, out in bar(jobs, "apply", unit="picture"):
            image = read_rgb(path, upright=True)
            try:
                write_png(out, upscale(image))
            except InputError as error:
                raise InputError(f"{path}: {error}") from None
    except Unavailable as error:
        text = str(error)
        raise InputError(text if str(model) in text else f"{model}: {text}") from None


def _job(source: Path, destination: Path) -> tuple[Path, Path]:
    if destination.suffix.lower() != ".png":
        raise InputError(f"{destination}: would lose what the network restores; name a .png file")
    if destination.is_dir():
        raise InputError(f"{destination}: is a folder; name a file, or give a folder of pictures as well")
    return source, destination


def _folder_jobs(source: Path, destination: Path) -> list[tuple[Path, Path]]:
    if destination.is_file() or destination.suffix.lower() == ".png":
        raise InputError(f"{destination}: {source} is a folder; name a folder for its pictures, too")
    if destination.resolve().is_relative_to(source.resolve()):
        raise InputError(f"{destination}: lies in {source}; name a folder outside of it")
    jobs: dict[Path, Path] = {}
    for path in _pictures(source):
        out = destination / path.relative_to(source).with_suffix(".png")
        if out in jobs:
            raise InputError(f"{path}: would become {out}, as {jobs[out]} does; rename one of the two")
        jobs[out] = path
    if not jobs:
        raise InputError(f"{source}: holds no picture ({', '.join(SUFFIXES)})")
    return [(path, out) for out, path in jobs.items()]


def _pictures(folder: Path) -> Iterable[Path]:
    for path in sorted(folder.rglob("*")):
        hidden = any(name.startswith(".") for name in path.relative_to(folder).parts)  # macOS writes ._a.png
        if path.suffix.lower() in SUFFIXES and path.is_file() and not hidden:
            yield path
