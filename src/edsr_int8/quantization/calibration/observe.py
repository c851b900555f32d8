"""Calibration: one forward pass over the images gives a histogram of every tensor that int8 rounds."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent import futures
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from edsr_int8.cluster.facts import process_facts
from edsr_int8.cluster.in_process import InProcess
from edsr_int8.cluster.work import Contents, Executor, Item
from edsr_int8.data.images import Image, image_shape, read_rgb
from edsr_int8.errors import InputError
from edsr_int8.quantization.calibration.colours import colour_ranges
from edsr_int8.quantization.calibration.counting import count
from edsr_int8.quantization.calibration.histogram import Histogram, save
from edsr_int8.quantization.calibration.subgraphs import Forward
from edsr_int8.quantization.ir.layers import Conv, Network, resolutions
from edsr_int8.quantization.ir.read_onnx import read_network
from edsr_int8.quantization.ir.scale_groups import calibrated
from edsr_int8.quantization.rewrites.fold import fold
from edsr_int8.tiling import MIN_KEPT, tiles

TILE = 1024  # pixels a side: larger images run in tiles, so that memory is bounded
BATCH_MACS = 5e11  # multiply-accumulates of a batch of images: seconds on one core
HERE = InProcess()
COUNTERS = 2  # threads that count while the network runs; counting costs a tenth of the forward pass


@dataclass(frozen=True)
class Observing:
    """A forward pass over images, as work for an executor: the histograms of all of them, by tensor."""

    network: Network
    names: tuple[str, ...]  # of the tensors
    tile: int
    cut: Callable[[Image], Image]  # the part of an image that counts
    memory_mb = 0

    def facts(self) -> Mapping[str, Any]:
        return process_facts()

    def open(self, threads: int) -> Callable[[Iterable[Contents]], Iterator[dict[str, Histogram]]]:
        return partial(self._run, Forward(self.network.layers, self.names, threads=threads))

    def _run(self, forward: Forward, contents: Iterable[Contents]) -> Iterator[dict[str, Histogram]]:
        finer = resolutions(self.network)
        radius = int(self.network.metadata.get("receptive_radius", 0))
        total: dict[str, Histogram] = {}
        with ThreadPoolExecutor(COUNTERS) as counters:
            for source in contents:
                path = source.paths[0]
                image = self.cut(read_rgb(path, data=source.files[0]))
                try:
                    for view in views(image, self.tile, radius):
                        _add(total, observe_view(forward, view, finer, counters, self.network.centre))
                except ValueError as error:
                    raise InputError(f"{path}: on this image {error}; check the network's weights") from None
        yield total


def observe(float_model: Path, images: Sequence[Path], out: Path, *, executor: Executor = HERE) -> None:
    """Write histograms of the tensors of `float_model`, folded, over `images` (8-bit RGB, any shapes).

    And the range of each of them over all colours, by the fields of the colour chart.

    Memory is that of one forward pass and a constant, for any number of images. The file is the same, byte
    for byte, for any order of the images, any number of threads and any executor.
    InputError where there are no images, or where one drives a tensor to NaN or infinity.
    """
    if not images:
        raise InputError(f"{out}: there are no calibration images; name a set that has some")
    network = fold(read_network(float_model))
    names = calibrated(network)
    found = observe_network(network, names, images, executor=executor)
    save(out, found, weights_sha256=network.weights_sha256, colours=colour_ranges(network, names))


def observe_network(
    network: Network, names: Sequence[str], images: Sequence[Path], *, tile: int = TILE,
    cut: Callable[[Image], Image] = np.asarray, executor: Executor = HERE,
) -> dict[str, Histogram]:  # fmt: skip
    """Histograms of the tensors `names` over `images`, each run in tiles of at most `tile` pixels a side.

    `cut` gives the part of an image that counts. InputError where there are no images, or where one drives a
    tensor to NaN or infinity.
    """
    if not images:
        raise InputError("there are no calibration images; name a set that has some")
    weights = sum(layer.weight.size for layer in network.layers if isinstance(layer, Conv))
    items = [Item(str(path), (path,), weights * prod(image_shape(path)) / BATCH_MACS) for path in images]
    total: dict[str, Histogram] = {}
    for found in executor.map(Observing(network, tuple(names), tile, cut), items, "observe"):
        _add(total, found.items())
    return {name: total[name] for name in names}


def _add(total: dict[str, Histogram], more: Iterable[tuple[str, Histogram]]) -> None:
    for name, seen in more:
        total[name] = total[name] + seen if name in total else seen


@dataclass(frozen=True)
class View:
    """A tile of an image, and the rows and columns of it whose activations are counted: each pixel once."""

    pixels: np.ndarray  # uint8 HWC RGB
    rows: slice
    columns: slice


def views(image: np.ndarray, tile: int, radius: int) -> Iterator[View]:
    """`image` in exact tiles: pixels that count have the activations that they have in the whole image."""
    height, width = (min(length, max(tile, 2 * radius + MIN_KEPT)) for length in image.shape[:2])
    for down, across in tiles(image.shape[0], image.shape[1], height, width, radius):
        yield View(
            image[down.start : down.stop, across.start : across.stop],
            slice(down.first - down.start, down.last - down.start),
            slice(across.first - across.start, across.last - across.start),
        )


def observe_view(
    forward: Forward, view: View, finer: Mapping[str, int], counters: futures.Executor, centre: int = 0
) -> Iterator[tuple[str, Histogram]]:
    """Tensor by tensor, its name and its histogram on one view; the network takes grey levels less `centre`.

    The tensors of one subgraph are counted while the next subgraph runs.
    """
    counting: list[tuple[str, Future[Histogram]]] = []
    planes = np.ascontiguousarray(view.pixels.transpose(2, 0, 1)[None], np.float32) - np.float32(centre)
    for values in forward(planes):
        yield from ((name, result.result()) for name, result in counting)
        counting = [
            (name, counters.submit(_histogram, name, _kept(value, view, finer[name])))
            for name, value in values.items()
        ]
    yield from ((name, result.result()) for name, result in counting)


def _kept(values: np.ndarray, view: View, finer: int) -> np.ndarray:
    rows, columns = (slice(s.start * finer, s.stop * finer) for s in (view.rows, view.columns))
    return np.ascontiguousarray(values[:, :, rows, columns])


def _histogram(name: str, values: np.ndarray) -> Histogram:
    try:
        return count(values)
    except ValueError as error:
        raise ValueError(f"tensor {name} {error}") from None
