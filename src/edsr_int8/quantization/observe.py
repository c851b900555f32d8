"""Calibration: one forward pass over the images, and from it a histogram of every tensor that int8 rounds."""

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np

from edsr_int8.data.images import read_rgb
from edsr_int8.errors import InputError
from edsr_int8.progress import bar
from edsr_int8.quantization.counting import sketch
from edsr_int8.quantization.network import measured, read_network
from edsr_int8.quantization.pieces import Forward
from edsr_int8.quantization.rewrite import fold
from edsr_int8.quantization.sketch import Sketch, save

COUNTERS = 2  # threads that count while the network runs on; counting costs a tenth of the forward pass


def observe(float_model: Path, images: Sequence[Path], out: Path, *, threads: int = 0) -> None:
    """Write histograms of the tensors of `float_model`, folded, over `images` (8-bit RGB, any shapes).

    Memory is that of one forward pass and a constant, for any number of images; the file is equal, byte
    for byte, in any order of them and with any number of threads (0: all cores).
    InputError where there are no images, or where one drives a tensor to NaN or infinity.
    """
    if not images:
        raise InputError(f"{out}: there are no calibration images; name a set that has some")
    network = fold(read_network(float_model))
    forward = Forward(network.layers, measured(network), threads=threads)
    total: dict[str, Sketch] = {}
    with ThreadPoolExecutor(COUNTERS) as counters:
        for path in bar(images, "observe", unit="image"):
            image = read_rgb(path)
            try:
                for name, seen in observe_image(forward, image, counters):
                    total[name] = total[name] + seen if name in total else seen
            except ValueError as error:
                raise InputError(f"{path}: on this image {error}; check the network's weights") from None
    save(out, total, weights_sha256=network.metadata.get("weights_sha256", ""))


def observe_image(forward: Forward, image: np.ndarray, counters: Executor) -> Iterator[tuple[str, Sketch]]:
    """Tensor by tensor, its name and what it holds on one image, uint8 HWC RGB.

    The tensors of one piece of the network are counted while the next piece runs.
    """
    counting: list[tuple[str, Future[Sketch]]] = []
    for values in forward(np.ascontiguousarray(image.transpose(2, 0, 1)[None], np.float32)):
        yield from ((name, count.result()) for name, count in counting)
        counting = [(name, counters.submit(_sketch, name, value)) for name, value in values.items()]
    yield from ((name, count.result()) for name, count in counting)


def _sketch(name: str, values: np.ndarray) -> Sketch:
    try:
        return sketch(values)
    except ValueError as error:
        raise ValueError(f"tensor {name} {error}") from None
