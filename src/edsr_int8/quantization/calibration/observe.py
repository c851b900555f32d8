"""Calibration: one forward pass over the images gives a histogram of every tensor that int8 rounds."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edsr_int8.data.images import Image, read_rgb
from edsr_int8.errors import InputError
from edsr_int8.progress import bar
from edsr_int8.quantization.calibration.counting import count
from edsr_int8.quantization.calibration.histogram import Histogram, save
from edsr_int8.quantization.calibration.subgraphs import Forward
from edsr_int8.quantization.ir.layers import Network, resolutions
from edsr_int8.quantization.ir.read_onnx import read_network
from edsr_int8.quantization.ir.scale_groups import calibrated
from edsr_int8.quantization.rewrites.fold import fold
from edsr_int8.tiling import MIN_KEPT, tiles

TILE = 1024  # pixels a side: larger images run in tiles, so that memory is bounded
COUNTERS = 2  # threads that count while the network runs; counting costs a tenth of the forward pass


def observe(float_model: Path, images: Sequence[Path], out: Path, *, threads: int = 0) -> None:
    """Write histograms of the tensors of `float_model`, folded, over `images` (8-bit RGB, any shapes).

    Memory is that of one forward pass and a constant, for any number of images. The file is the same, byte
    for byte, for any order of the images and any number of threads (0: all cores).
    InputError where there are no images, or where one drives a tensor to NaN or infinity.
    """
    if not images:
        raise InputError(f"{out}: there are no calibration images; name a set that has some")
    network = fold(read_network(float_model))
    found = observe_network(network, calibrated(network), images, threads=threads)
    save(out, found, weights_sha256=network.weights_sha256)


def observe_network(
    network: Network, names: Sequence[str], images: Sequence[Path], *, threads: int = 0, tile: int = TILE,
    read: Callable[[Path], Image] = read_rgb,
) -> dict[str, Histogram]:  # fmt: skip
    """Histograms of the tensors `names` over `images`, each run in tiles of at most `tile` pixels a side.

    InputError where there are no images, or where one drives a tensor to NaN or infinity.
    """
    if not images:
        raise InputError("there are no calibration images; name a set that has some")
    forward = Forward(network.layers, names, threads=threads)
    finer = resolutions(network)
    radius = int(network.metadata.get("receptive_radius", 0))
    total: dict[str, Histogram] = {}
    with ThreadPoolExecutor(COUNTERS) as counters:
        for path in bar(images, "observe", unit="image"):
            try:
                for view in views(read(path), tile, radius):
                    for name, seen in observe_view(forward, view, finer, counters):
                        total[name] = total[name] + seen if name in total else seen
            except ValueError as error:
                raise InputError(f"{path}: on this image {error}; check the network's weights") from None
    return {name: total[name] for name in names}


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
    forward: Forward, view: View, finer: Mapping[str, int], counters: Executor
) -> Iterator[tuple[str, Histogram]]:
    """Tensor by tensor, its name and its histogram on one view.

    The tensors of one subgraph are counted while the next subgraph runs.
    """
    counting: list[tuple[str, Future[Histogram]]] = []
    for values in forward(np.ascontiguousarray(view.pixels.transpose(2, 0, 1)[None], np.float32)):
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
