"""All images of a model's data sets, through one build on one target."""

import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import onnx

from edsr_int8.data.images import Image, image_shape, read_rgb, write_png
from edsr_int8.errors import InputError
from edsr_int8.files import atomic_folder, write_json
from edsr_int8.progress import bar
from edsr_int8.targets.base import Compiles, Target, Unavailable
from edsr_int8.targets.execution.upscale import BYTES_PER_IMAGE_PIXEL, Upscaler, open_build
from edsr_int8.targets.placement import conv_macs
from edsr_int8.tiling import tiles

DEVICE = "device"  # the folder of what goes onto the device


@dataclass(frozen=True)
class Job:
    source: Path
    name: str  # of the output, relative to the output folder
    pixels: int  # of the source


def infer(
    target: Target,
    model: Path,
    datasets: Mapping[str, Path],
    out: Path,
    *,
    shape: tuple[int, int] | None = None,
) -> None:
    """Write `out`/<dataset>/x.png for every <folder>/lr/x.png of `datasets`, and `out`/status.json.

    Where the target compiles builds, `out`/device holds what goes onto the device.

    The status is "ok"; or "unavailable: why", and then there is no image, where the target cannot run
    this build. `shape` (height, width): the only tile that the target runs. InputError: an image does not
    decode or is smaller than the tile, or the budget is too small; `out` then stays as it was.
    """
    jobs = [job for name, folder in datasets.items() for job in _jobs(name, folder)]

    def run(folder: Path) -> None:
        _run(open_build(target, model, shape=shape), jobs, folder)
        if isinstance(target, Compiles):
            target.compile(model, folder / DEVICE)

    with_status(run, out)


def with_status(run: Callable[[Path], None], out: Path) -> None:
    """Write `out`: the files that `run` writes and status.json, or only that where `run` is Unavailable."""
    with atomic_folder(out) as folder:
        try:
            run(folder)
            status = "ok"
        except Unavailable as error:
            shutil.rmtree(folder)
            status = f"unavailable: {error}"
        write_json(folder / "status.json", {"status": status})


def _jobs(dataset: str, folder: Path) -> list[Job]:
    sources = sorted((folder / "lr").rglob("*.png"))
    if not sources:
        raise InputError(f"{folder / 'lr'}: holds no PNG image; run the stage model_images first")
    shapes = [image_shape(path) for path in sources]
    names = [f"{dataset}/{path.relative_to(folder / 'lr').as_posix()}" for path in sources]
    return [Job(p, n, height * width) for p, n, (height, width) in zip(sources, names, shapes, strict=True)]


def _run(upscale: Upscaler, jobs: Sequence[Job], folder: Path) -> None:
    """While one image is computed, the next is decoded and the previous one encoded."""
    with ThreadPoolExecutor(max_workers=2) as pool:
        _say_how_long(upscale, jobs)
        images = _ahead(pool, read_rgb, [job.source for job in jobs])
        writing: Future[None] | None = None
        for i, job in enumerate(bar(jobs, upscale.build.path.parent.name, unit="image")):
            held = jobs[i - 1].pixels * upscale.build.whole.scale**2 if i else 0
            held += jobs[i + 1].pixels if i + 1 < len(jobs) else 0
            try:
                output = upscale(next(images), held_bytes=BYTES_PER_IMAGE_PIXEL * held)
            except InputError as error:
                raise InputError(f"{job.source}: {error}") from None
            if writing:
                writing.result()
            writing = pool.submit(write_png, folder / job.name, output)
        if writing:
            writing.result()


def _say_how_long(upscale: Upscaler, jobs: Sequence[Job]) -> None:
    """On a simulator, where a tile takes long."""
    rate = upscale.target.capabilities.seconds_per_gmac
    if rate is None or upscale.shape is None:
        return
    radius, (height, width) = upscale.build.whole.radius, upscale.shape
    try:
        count = sum(len(tiles(*image_shape(job.source), height, width, radius)) for job in jobs)
    except InputError:  # an image is smaller than the tile: running it says which
        return
    macs = sum(conv_macs(onnx.load(upscale.build.path).graph).values()) * height * width
    minutes = count * rate * macs / 1e9 / 60
    runtime = upscale.target.row.runtime
    print(f"{runtime}: simulates {count} tiles, about {max(minutes, 1):.0f} min", file=sys.stderr)


def _ahead(pool: Executor, read: Callable[[Path], Image], paths: Sequence[Path]) -> Iterator[Image]:
    """The images in order; the next one is always being read."""
    current: Future[Image] | None = None
    for path in paths:
        following = pool.submit(read, path)
        if current:
            yield current.result()
        current = following
    if current:
        yield current.result()
