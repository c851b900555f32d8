"""All images of a model's data sets, through one build on one target."""

import functools
import hashlib
import json
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from math import inf, prod
from pathlib import Path
from typing import Any

from edsr_int8.cluster.facts import process_facts
from edsr_int8.cluster.in_process import InProcess
from edsr_int8.cluster.kept import Kept, Result, complete, unfinished
from edsr_int8.cluster.shipped import Shipped
from edsr_int8.cluster.work import Contents, Executor, Item
from edsr_int8.data.images import Image, encode_png, image_shape, read_rgb
from edsr_int8.errors import InputError
from edsr_int8.files import atomic_folder, link, sha256, write_json
from edsr_int8.onnx_file import read_onnx
from edsr_int8.targets.base import Compiles, Target, Unavailable, open_target
from edsr_int8.targets.execution.build import Build, read_build
from edsr_int8.targets.execution.upscale import BYTES_PER_IMAGE_PIXEL, Upscaler, open_build, require
from edsr_int8.targets.placement import conv_macs
from edsr_int8.targets.row import TargetRow
from edsr_int8.targets.torch_threads import set_torch_threads
from edsr_int8.tiling import tiles

# A batch of this many bytes of the build times pixels of the images takes seconds on one core: a weight is
# used about once for each pixel.
BATCH_WORK = 5e11
BATCH_BYTES = 64 * 2**20  # of its pictures before they are encoded: they wait in a worker until it is done
HERE = InProcess()

DEVICE = "device"  # the folder of what goes onto the device


@dataclass(frozen=True)
class Upscaling:
    """Images through a build on a target, as work for an executor: a PNG file for each."""

    row: TargetRow
    model: Shipped
    shape: tuple[int, int] | None
    held_bytes: int  # that the image before and the image after one take, at most

    @property
    def memory_mb(self) -> int:
        return self.row.memory_budget_mb

    def facts(self) -> Mapping[str, Any]:
        return {**open_target(self.row).probe(), **process_facts()}

    def open(self, threads: int) -> Callable[[Iterable[Contents]], Iterator[Result]]:
        row = self.row
        if threads:
            row = replace(row, threads=min(threads, row.threads or threads))
            set_torch_threads(row)
        with self.model.on_disk() as path:
            upscale = open_build(open_target(row), path, shape=self.shape)
        return functools.partial(_upscale, upscale, self.held_bytes)

    def identity(self) -> str:
        """All that may change a picture."""
        row = {key: value for key, value in asdict(self.row).items() if key != "threads"}
        known = [row, sha256(self.model.path), self.shape, self.held_bytes, dict(self.facts())]
        return hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()


def infer(
    target: Target, model: Path, datasets: Mapping[str, Path], out: Path, *, partial: Path,
    shape: tuple[int, int] | None = None, executor: Executor = HERE,
) -> None:  # fmt: skip
    """Write `out`/<dataset>/x.png for every <folder>/lr/x.png of `datasets`, and `out`/status.json.

    Where the target compiles builds, `out`/device holds what goes onto the device.

    The status is "ok"; or "unavailable: why", and then there is no image, where the target cannot run
    this build. `shape` (height, width): the only tile that the target runs. Every image that is finished
    stays in the folder `partial` until all are, so that the next call goes on from there. InputError: an
    image does not decode or is smaller than the tile, the budget is too small, or as `executor` says; `out`
    then stays as it was.
    """
    sources = {
        f"{name}/{path.relative_to(folder / 'lr').as_posix()}": path
        for name, folder in datasets.items()
        for path in _sources(folder)
    }

    def run(folder: Path) -> None:
        _run(target, model, sources, shape, executor, partial, folder)
        if isinstance(target, Compiles):
            target.compile(model, folder / DEVICE)

    with unfinished(partial, str(out)):
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


def _sources(folder: Path) -> list[Path]:
    sources = sorted((folder / "lr").rglob("*.png"))
    if not sources:
        raise InputError(f"{folder / 'lr'}: holds no PNG image; run the stage model_images first")
    return sources


def _run(
    target: Target, model: Path, sources: Mapping[str, Path], shape: tuple[int, int] | None,
    executor: Executor, partial: Path, folder: Path,
) -> None:  # fmt: skip
    build = read_build(model)
    require(target, build.dtype)
    pixels = {name: prod(image_shape(path)) for name, path in sources.items()}
    # The same for every image, so that its tiles, too, do not depend on those beside it.
    held_bytes = BYTES_PER_IMAGE_PIXEL * max(pixels.values()) * (1 + build.whole.scale**2)
    weight = max(model.stat().st_size / BATCH_WORK, 3 * build.whole.scale**2 / BATCH_BYTES)  # of a pixel
    if target.capabilities.seconds_per_gmac:  # a simulator
        weight = inf
    items = [Item(name, (path,), weight * pixels[name]) for name, path in sources.items()]
    _say_how_long(target, build, sources, target.row.tile or shape)
    work = Upscaling(target.row, Shipped(model), shape, held_bytes)
    found = complete(executor, work, items, Kept(partial, work.identity()), model.parent.name)
    for name in sources:
        link(found[name], folder / name)


def _say_how_long(
    target: Target, build: Build, sources: Mapping[str, Path], shape: tuple[int, int] | None
) -> None:
    """On a simulator that is installed, where a tile takes long."""
    rate = target.capabilities.seconds_per_gmac
    if rate is None or shape is None or not target.probe()["available"]:
        return
    try:
        count = sum(len(tiles(*image_shape(path), *shape, build.whole.radius)) for path in sources.values())
    except InputError:  # an image is smaller than the tile: running it says which
        return
    macs = sum(conv_macs(read_onnx(build.path).graph).values()) * prod(shape)
    minutes = count * rate * macs / 1e9 / 60
    runtime = target.row.runtime
    print(f"{runtime}: simulates {count} tiles, about {max(minutes, 1):.0f} min", file=sys.stderr)


def _upscale(upscale: Upscaler, held_bytes: int, contents: Iterable[Contents]) -> Iterator[Result]:
    """While one image is computed, the next is decoded and the previous one encoded."""
    with ThreadPoolExecutor(max_workers=2) as pool:
        encoding: tuple[Contents, Future[bytes]] | None = None
        for source, image in _ahead(contents, pool):
            try:
                output = upscale(image, held_bytes=held_bytes)
            except InputError as error:
                raise InputError(f"{source.paths[0]}: {error}") from None
            if encoding:
                yield _result(*encoding)
            encoding = source, pool.submit(encode_png, output)
        if encoding:
            yield _result(*encoding)


def _result(source: Contents, encoded: "Future[bytes]") -> Result:
    return Result(source.name, source.digest, encoded.result())


def _ahead(contents: Iterable[Contents], pool: ThreadPoolExecutor) -> Iterator[tuple[Contents, Image]]:
    """The images in order; the next one is always being decoded."""
    current: tuple[Contents, Future[Image]] | None = None
    for source in contents:
        following = source, pool.submit(_decode, source)
        if current:
            yield current[0], current[1].result()
        current = following
    if current:
        yield current[0], current[1].result()


def _decode(source: Contents) -> Image:
    return read_rgb(source.paths[0], data=source.files[0])
