"""Training steps a second: this project's loop against the plain loop of EDSR-PyTorch and BasicSR.

The plain loop decodes a PNG pair for every crop, in one worker a core, and computes float32 in NCHW memory
(EDSR-PyTorch's src/data/srdata.py with --ext img, BasicSR's paired_image_dataset.py with a disk back end;
OpenCV decodes, as in BasicSR). Same network, batch, patch and images for both, in turns.

    python benchmarks/training_throughput.py            # minutes on 2 cores; a GPU is used where there is one

Images are mosaics of the photographs in scikit-image at DIV2K's size, 2040x1356, whose PNG weighs about as
much as DIV2K's (4.4 MB a picture).
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from edsr_int8.data.bicubic import reduce
from edsr_int8.data.images import Image, read_rgb, write_png
from edsr_int8.data.pairs import read_pairs
from edsr_int8.data.sample import make_sample
from edsr_int8.models.build import build
from edsr_int8.models.description import Description
from edsr_int8.training.crops import turned
from edsr_int8.training.learner import Learner
from edsr_int8.training.loop import batches
from edsr_int8.training.options import TrainingOptions
from edsr_int8.training.pixels import decode

BASELINE = Description("edsr", features=64, blocks=16, scale=2, res_scale=1.0, upsampler="pixelshuffle")
# Lim et al. 2017, section 4.2; the x2 baseline of its table 1.
RECIPE = TrainingOptions(steps=300_000, batch=16, patch=48, learning_rate=1e-4)
HEIGHT, WIDTH = 1356, 2040


def make_pairs(folder: Path, images: int) -> None:
    make_sample(folder / "sample")
    photographs = [read_rgb(path) for path in sorted((folder / "sample").rglob("*.png"))]
    random = np.random.default_rng(0)
    for i in range(images):
        high = mosaic(photographs, random)
        write_png(folder / "pairs" / "hr" / f"{i}.png", high)
        write_png(folder / "pairs" / "lr" / f"{i}.png", reduce(high, 2))


def mosaic(photographs: list[Image], random: np.random.Generator) -> Image:
    """Tiles of 339x340 pixels from random places of random photographs, 4 high and 6 wide."""

    def tile() -> Image:
        photograph = photographs[random.integers(len(photographs))]
        padded = np.pad(photograph, ((0, 340), (0, 340), (0, 0)), mode="reflect")
        top, left = (random.integers(length) for length in photograph.shape[:2])
        return turned(padded[top : top + 339, left : left + 340], int(random.integers(4)) * 2)

    return np.vstack([np.hstack([tile() for _ in range(6)]) for _ in range(4)])


class PngPairs(torch.utils.data.Dataset[tuple[Tensor, Tensor]]):
    """What both upstream projects do for a sample: decode two files, cut, turn, make tensors."""

    def __init__(self, folder: Path, patch: int, length: int) -> None:
        self.pairs, self.patch, self.length = read_pairs(folder), patch, length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        random = np.random.default_rng(index)
        pair, patch = self.pairs[index % len(self.pairs)], self.patch
        low, high = (cv2.imread(str(path), cv2.IMREAD_COLOR_RGB) for path in (pair.lr, pair.hr))
        top, left = (random.integers(length - patch + 1) for length in low.shape[:2])
        turn = int(random.integers(8))
        return tuple(  # type: ignore[return-value]
            torch.from_numpy(
                np.ascontiguousarray(turned(image[s * top :, s * left :][: s * patch, : s * patch], turn))
            )
            .permute(2, 0, 1)
            .float()
            for image, s in ((low, 1), (high, 2))
        )


def plain(folder: Path, device: str) -> Generator[None, None, None]:
    """The upstream loop, one step each time it is asked."""
    torch.manual_seed(0)
    network = build(BASELINE).to(device)
    optimizer = torch.optim.Adam(network.parameters(), lr=RECIPE.learning_rate)
    data = PngPairs(folder, RECIPE.patch, RECIPE.batch * RECIPE.steps)
    for low, high in torch.utils.data.DataLoader(data, RECIPE.batch, num_workers=os.cpu_count() or 1):
        loss = nn.functional.l1_loss(network(low.to(device)), high.to(device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        yield


def ours(folder: Path, store: Path, precision: str, device: str) -> Generator[None, None, None]:
    """This project's loop, one step each time it is asked."""
    options = replace(RECIPE, precision=precision)
    pixels = decode([folder], scales=[2], store=store)
    learner = Learner(BASELINE, options, source="official", device=device)
    for low, high in batches(pixels, options, 0):
        learner.learn(low, high)
        yield


def seconds_a_step(loop: Generator[None, None, None], steps: int, device: str) -> float:
    """After one step that starts the workers and is not counted."""
    next(loop)
    start = time.perf_counter()
    for _ in range(steps):
        next(loop)
    if device == "cuda":
        torch.cuda.synchronize()
    taken = time.perf_counter() - start
    loop.close()
    return taken / steps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=6, help="pairs, 2040x1356")
    parser.add_argument("--steps", type=int, default=6, help="steps a round")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    with tempfile.TemporaryDirectory() as temporary:
        pairs, store = Path(temporary) / "pairs", Path(temporary) / "store"
        make_pairs(Path(temporary), given.images)
        start = time.perf_counter()
        decode([pairs], scales=[2], store=store)
        decoding = (time.perf_counter() - start) / given.images
        loops = {
            "plain": lambda: plain(pairs, device),
            "ours, float32": lambda: ours(pairs, store, "float32", device),
            "ours, bfloat16": lambda: ours(pairs, store, "bfloat16", device),
        }
        times: dict[str, list[float]] = {name: [] for name in loops}
        for _ in range(given.rounds):
            for name, loop in loops.items():
                times[name].append(seconds_a_step(loop(), given.steps, device))
        megabytes = statistics.mean(p.stat().st_size for p in (pairs / "hr").iterdir()) / 1e6
    print(f"{device}, {os.cpu_count()} cores; f64 b16 x2, batch {RECIPE.batch}, patch {RECIPE.patch}")
    print(f"{given.images} pairs {WIDTH}x{HEIGHT}, {megabytes:.1f} MB a PNG, {decoding:.2f} s to decode once")
    for name, taken in times.items():
        ratio = statistics.median(p / t for p, t in zip(times["plain"], taken, strict=True))
        print(f"{name:15} {statistics.median(taken):7.3f} s a step, {ratio:5.2f} times plain")


if __name__ == "__main__":
    main()
