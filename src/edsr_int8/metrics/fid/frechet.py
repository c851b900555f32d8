"""Fréchet distance between the features of two sets of images (FID), over patches.

Heusel et al., "GANs trained by a two time-scale update rule converge to a local Nash equilibrium",
NeurIPS 2017, https://arxiv.org/abs/1706.08500, eq. 6. A set of photographs is far too small for statistics
of 2048 features, so patches are compared. With few patches the distance is still too large (Chong and
Forsyth, "Effectively unbiased FID and Inception score", CVPR 2020), so their number is part of the result.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar, final

import numpy as np
from numpy.typing import NDArray

from edsr_int8.cluster.facts import process_facts
from edsr_int8.cluster.in_process import InProcess
from edsr_int8.cluster.work import Contents, Executor, Item
from edsr_int8.data.images import image_shape, read_rgb

Features = Callable[[NDArray[np.uint8]], NDArray[Any]]  # uint8 NHWC RGB -> [N, features]

BATCH = 8  # patches in one call: bounds the network's memory
BATCH_PATCHES = 64  # of a batch of images: seconds on one core
HERE = InProcess()
Found = TypeVar("Found")


@final
@dataclass(frozen=True)
class Fid:
    """`distance` over `patches` patches of either set; None where there is none, and `reason` says why."""

    distance: float | None
    patches: int
    reason: str = ""


FolderDistance = Callable[[Path, Path], Fid]  # folder of outputs, folder of references


@dataclass(frozen=True)
class Moments:
    """Sufficient statistics of a Gaussian: those of two sets of samples add up to those of both together."""

    count: int
    total: NDArray[np.float64]  # [features]
    products: NDArray[np.float64]  # [features, features]: sum of outer products

    def __add__(self, other: "Moments") -> "Moments":
        return Moments(self.count + other.count, self.total + other.total, self.products + other.products)

    @property
    def mean(self) -> NDArray[np.float64]:
        return self.total / self.count

    @property
    def covariance(self) -> NDArray[np.float64]:
        """Unbiased: over count - 1."""
        return (self.products - np.outer(self.total, self.mean)) / (self.count - 1)


def moments(features: NDArray[Any]) -> Moments:
    """Statistics of an array [samples, features], in float64."""
    x = features.astype(np.float64)
    return Moments(len(x), x.sum(axis=0), x.T @ x)


def frechet_distance(a: Moments, b: Moments) -> float:
    """|mean_a - mean_b|^2 + trace(C_a + C_b - 2 (C_a C_b)^(1/2)), never below 0.

    With C = F F^T the trace of the root is the sum of the singular values of F_a^T F_b. So no root of an
    asymmetric matrix is needed, and rounding cannot make complex numbers.
    """
    shift = float(np.square(a.mean - b.mean).sum())
    spread = float(np.trace(a.covariance) + np.trace(b.covariance))
    common = np.linalg.svd(_factor(a.covariance).T @ _factor(b.covariance), compute_uv=False)
    return max(0.0, shift + spread - 2 * float(common.sum()))


def _factor(covariance: NDArray[np.float64]) -> NDArray[np.float64]:
    """F [features, rank] with F F^T = covariance, without eigenvalues that are only rounding error."""
    values, vectors = np.linalg.eigh(covariance)
    kept = values > len(values) * np.finfo(np.float64).eps * values[-1]
    return vectors[:, kept] * np.sqrt(values[kept])


def patches(image: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """[N, side, side, 3]: the squares that tile an HWC image from its top left; none of a smaller image."""
    rows, columns = image.shape[0] // side, image.shape[1] // side
    tiled = image[: rows * side, : columns * side].reshape(rows, side, columns, side, 3)
    return tiled.swapaxes(1, 2).reshape(rows * columns, side, side, 3)


@dataclass(frozen=True)
class PatchFeatures:
    """The features of images' patches, as work for an executor: a name, and arrays of at most BATCH patches.

    Features and not moments: these have 2048 x 2048 numbers, and in which order they are added shows in their
    last bits.
    """

    features: Features
    side: int
    taken: Mapping[str, NDArray[np.bool_]]  # image -> which of its patches
    memory_mb = 0

    def facts(self) -> Mapping[str, Any]:
        return {**process_facts(), "torch": version("torch")}

    def open(self, threads: int) -> Callable[[Iterable[Contents]], Iterator[tuple[str, list[NDArray[Any]]]]]:
        return self._run

    def _run(self, contents: Iterable[Contents]) -> Iterator[tuple[str, list[NDArray[Any]]]]:
        for image in contents:
            pixels = read_rgb(image.paths[0], data=image.files[0])
            tiles = patches(pixels, self.side)[self.taken[image.name]]
            parts = range(0, len(tiles), BATCH)
            yield image.name, [self.features(tiles[first : first + BATCH]) for first in parts]


def folder_moments(
    paths: Sequence[Path], features: Features, *, side: int, most: int = 0, executor: Executor = HERE
) -> Moments | None:
    """Statistics of the patches of the images at `paths`; None where all images are smaller than a patch.

    `most` > 0: of at most so many patches, spread evenly over all. Which ones depends on the images' shapes
    alone, so two folders of images of equal shapes are compared at the same places.
    """
    counts = [(height // side) * (width // side) for height, width in map(image_shape, paths)]
    taken = _spread(counts, most)
    items = [Item(str(p), (p,), which.sum() / BATCH_PATCHES) for p, which in zip(paths, taken, strict=True)]
    work = PatchFeatures(features, side, {item.name: t for item, t in zip(items, taken, strict=True)})
    total = None
    for found in _in_order([item.name for item in items], executor.map(work, items, "fid")):
        for part in map(moments, found):
            total = part if total is None else total + part
    return total


def _spread(counts: Sequence[int], most: int) -> list[NDArray[np.bool_]]:
    """Which patches of each image are taken: of all, at most `most`; 0: all."""
    every = sum(counts)
    # Patch i is taken where the integer part of i * wanted / every rises.
    marks = np.diff(np.arange(every + 1) * min(most or every, every) // max(every, 1)) > 0
    return np.split(marks, np.cumsum(counts)[:-1]) if counts else []


def _in_order(names: Sequence[str], results: Iterable[tuple[str, Found]]) -> Iterator[Found]:
    """The results in the order of `names`; those that come early wait."""
    early: dict[str, Found] = {}
    waiting = iter(names)
    turn = next(waiting, None)
    for name, found in results:
        early[name] = found
        while turn in early:
            yield early.pop(turn)
            turn = next(waiting, None)


def fid(
    outputs: Path, references: Path, features: Features, *, side: int, most: int = 0,
    executor: Executor = HERE,
) -> Fid:  # fmt: skip
    """Distance between the patches of all **.png of two folders, or of at most `most` patches of each.

    Memory does not grow with the number of images or patches.
    """
    a, b = (
        folder_moments(sorted(folder.rglob("*.png")), features, side=side, most=most, executor=executor)
        for folder in (outputs, references)
    )
    if a is None or b is None or min(a.count, b.count) < 2:
        return Fid(None, a.count if a else 0, f"needs at least 2 patches of {side}x{side} pixels")
    return Fid(frechet_distance(a, b), a.count)
