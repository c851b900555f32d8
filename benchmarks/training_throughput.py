"""Training steps a second: this project's loop against the loops of EDSR-PyTorch and BasicSR.

The upstream loops decode a PNG pair for every crop and compute float32 in NCHW memory. All have the same
network, batch, patch and images and run in turns; none writes checkpoints or validates.
  EDSR-PyTorch  src/data/srdata.py with --ext img: imageio reads both files (its default, --ext sep, keeps
                every image decoded in a pickle of its own and reads that whole for every crop)
  BasicSR       basicsr/data/paired_image_dataset.py with a disk back end: OpenCV decodes both files, and
                the whole image becomes float32 in 0..1 before the crop
  BasicSR, cut  the same on files of 480x480, into which a script of its cuts DIV2K beforehand
Both decode in 6 DataLoader workers by default. Here they get one a core, since PyTorch warns above that, or
--workers; 0 decodes in the loop itself. Beside the time of a step stands its cost in core-seconds, workers
included, which other work on the machine disturbs least.

    python benchmarks/training_throughput.py [--workers N]
                                                        # minutes on 2 cores; a GPU is used where there is one

Images are mosaics of the photographs in scikit-image at DIV2K's size, 2040x1356, whose PNG weighs about as
much as DIV2K's (4.4 MB a picture).
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Generator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import imageio.v2 as imageio
import numpy as np
import torch
from torch import Tensor, nn

from edsr_int8.data.degrade.bicubic import reduce
from edsr_int8.data.images import Image, read_rgb, write_png
from edsr_int8.data.pairs.read import read_pairs
from edsr_int8.data.sample import make_sample
from edsr_int8.machine import cores
from edsr_int8.models.build import build
from edsr_int8.training.crops import transformed
from edsr_int8.training.learner import Learner
from edsr_int8.training.loop import batches
from edsr_int8.training.pixels import decode
from edsr_int8.training.schedule import Training

# Lim et al. 2017, section 4.2; the x2 baseline of its table 1.
RECIPE = Training(
    source="official",
    network="edsr",
    features=64,
    blocks=16,
    scale=2,
    res_scale=1.0,
    upsampler="pixelshuffle",
    datasets=(),
    validation=(),
    start="",
    steps=300_000,
    batch=16,
    patch=48,
    learning_rate=1e-4,
)
HEIGHT, WIDTH = 1356, 2040
CUT = 480  # BasicSR, scripts/data_preparation/extract_subimages.py


def make_pairs(folder: Path, images: int) -> None:
    """Whole images in folder/pairs, the cuts of each from its upper left in folder/cut."""
    make_sample(folder / "sample")
    photographs = [read_rgb(path) for path in sorted((folder / "sample").rglob("*.png"))]
    random = np.random.default_rng(0)
    for i in range(images):
        high = mosaic(photographs, random)
        for name, image in (("pairs", high), ("cut", high[:CUT, :CUT])):
            write_png(folder / name / "hr" / f"{i}.png", np.ascontiguousarray(image))
            write_png(folder / name / "lr" / f"{i}.png", reduce(image, 2))


def mosaic(photographs: list[Image], random: np.random.Generator) -> Image:
    """Tiles of 339x340 pixels from random places of random photographs, 4 high and 6 wide."""

    def tile() -> Image:
        photograph = photographs[random.integers(len(photographs))]
        padded = np.pad(photograph, ((0, 340), (0, 340), (0, 0)), mode="reflect")
        top, left = (random.integers(length) for length in photograph.shape[:2])
        return transformed(padded[top : top + 339, left : left + 340], int(random.integers(4)) * 2)

    return np.vstack([np.hstack([tile() for _ in range(6)]) for _ in range(4)])


def as_edsr_pytorch(path: Path) -> Any:
    return imageio.imread(path)


def as_basicsr(path: Path) -> Any:
    image = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    return image.astype(np.float32) / 255.0  # BGR in 0..1: other values, the same time


class PngPairs(torch.utils.data.Dataset[tuple[Tensor, Tensor]]):
    """What both upstream projects do for a sample: decode two files, cut, rotate or mirror, make tensors."""

    def __init__(self, folder: Path, read: Callable[[Path], Any], steps: int) -> None:
        self.pairs, self.read, self.steps = read_pairs(folder), read, steps

    def __len__(self) -> int:
        return RECIPE.batch * self.steps

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        random = np.random.default_rng(index)
        pair, patch = self.pairs[index % len(self.pairs)], RECIPE.patch
        low, high = self.read(pair.lr), self.read(pair.hr or pair.lr)
        top, left = (random.integers(length - patch + 1) for length in low.shape[:2])
        turn = int(random.integers(8))
        return tuple(  # type: ignore[return-value]
            torch.from_numpy(
                np.ascontiguousarray(
                    transformed(image[s * top :, s * left :][: s * patch, : s * patch], turn)
                )
            )
            .permute(2, 0, 1)
            .float()
            for image, s in ((low, 1), (high, 2))
        )


def theirs(
    folder: Path, read: Callable[[Path], Any], steps: int, device: str, *, workers: int
) -> Generator[None, None, None]:
    """The upstream loop, one step for each `next`; its workers decode for `steps` steps."""
    torch.manual_seed(0)
    network = build(RECIPE.description).to(device)
    optimizer = torch.optim.Adam(network.parameters(), lr=RECIPE.learning_rate)
    data = PngPairs(folder, read, steps)
    for low, high in torch.utils.data.DataLoader(data, RECIPE.batch, num_workers=workers):
        loss = nn.functional.l1_loss(network(low.to(device)), high.to(device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        yield


def ours(folder: Path, store: Path, precision: str, device: str) -> Generator[None, None, None]:
    """This project's loop, one step for each `next`."""
    training = replace(RECIPE, precision=precision)
    pixels = decode([folder], scales=[2], store=store)
    learner = Learner(training, device=device)
    for low, high in batches(pixels, training, 0):
        learner.learn(low, high)
        yield


def step_cost(loop: Generator[None, None, None], steps: int, device: str) -> tuple[float, float]:
    """(seconds, core-seconds) a step; the first, which starts the workers, counts for core-seconds only."""
    cores_before = core_seconds()
    next(loop)
    start = time.perf_counter()
    for _ in range(steps):
        next(loop)
    if device == "cuda":
        torch.cuda.synchronize()
    taken = time.perf_counter() - start
    loop.close()
    return taken / steps, (core_seconds() - cores_before) / (steps + 1)


def core_seconds() -> float:
    """Core-seconds of this process and of the workers that have ended."""
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=6, help="pairs, 2040x1356")
    parser.add_argument("--steps", type=int, default=6, help="steps a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=cores(), help="that decode for the upstream loops")
    given = parser.parse_args()
    device, steps = "cuda" if torch.cuda.is_available() else "cpu", given.steps + 1
    with tempfile.TemporaryDirectory() as temporary:
        pairs, cut, store = (Path(temporary) / name for name in ("pairs", "cut", "store"))
        make_pairs(Path(temporary), given.images)
        start = time.perf_counter()
        decode([pairs], scales=[2], store=store)
        decoding = (time.perf_counter() - start) / given.images
        upstream = partial(theirs, steps=steps, device=device, workers=given.workers)
        loops = {
            "EDSR-PyTorch": lambda: upstream(pairs, as_edsr_pytorch),
            "BasicSR": lambda: upstream(pairs, as_basicsr),
            "BasicSR, cut": lambda: upstream(cut, as_basicsr),
            "ours, float32": lambda: ours(pairs, store, "float32", device),
            "ours, bfloat16": lambda: ours(pairs, store, "bfloat16", device),
        }
        costs: dict[str, list[tuple[float, float]]] = {name: [] for name in loops}
        megabytes = statistics.mean(p.stat().st_size for p in (pairs / "hr").iterdir()) / 1e6
        print(f"{device}, {cores()} cores; f64 b16 x2, batch {RECIPE.batch}, patch {RECIPE.patch}")
        print(f"{given.workers} workers decode for the upstream loops")
        print(f"{given.images} pairs {WIDTH}x{HEIGHT}, {megabytes:.1f} MB a PNG, {decoding:.2f} s to decode")
        for _ in range(given.rounds):
            for name, loop in loops.items():
                costs[name].append(step_cost(loop(), given.steps, device))
    for measure, unit in enumerate(("seconds", "core-seconds")):
        print_costs({name: [cost[measure] for cost in some] for name, some in costs.items()}, unit)


def print_costs(costs: dict[str, list[float]], unit: str) -> None:
    """Print the median of the rounds; a ratio is the median of the ratios of each round."""
    print(f"{unit} a step")
    for name, taken in costs.items():
        ratios = [
            f"{statistics.median(o / t for o, t in zip(other, taken, strict=True)):5.2f} times {who}"
            for who, other in costs.items()
            if name.startswith("ours") and not who.startswith("ours")
        ]
        print(f"  {name:15} {statistics.median(taken):7.3f}", *ratios, sep="  ")


if __name__ == "__main__":
    main()
