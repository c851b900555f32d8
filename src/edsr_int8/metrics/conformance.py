"""How far the images that one target makes of a build are from those that another makes of it."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, final

import numpy as np

from edsr_int8.cluster.facts import process_facts
from edsr_int8.cluster.in_process import InProcess
from edsr_int8.cluster.work import Contents, Executor, Item
from edsr_int8.data.images import read_rgb
from edsr_int8.errors import InputError
from edsr_int8.metrics.scores import read_status

HERE = InProcess()


@final
@dataclass(frozen=True)
class Conformance:
    """How far all images of a data set are from those of another target."""

    equal_share: float  # of all pixels, those equal in all three channels: 0..1
    max_difference: int  # grey levels, the largest of any pixel and channel


@dataclass(frozen=True)
class Comparing:
    """Pairs of images, as work for an executor: equal pixels, all pixels, largest difference of each."""

    memory_mb = 0

    def facts(self) -> Mapping[str, Any]:
        return process_facts()

    def open(self, threads: int) -> Callable[[Iterable[Contents]], Iterator[tuple[int, int, int]]]:
        return partial(map, _differences)


def compare(outputs: Path, reference: Path, *, executor: Executor = HERE) -> dict[str, Conformance]:
    """Data set, as evaluation/<name> or card/<name> -> how far its images are from those of `reference`.

    Both folders are what infer writes.

    Empty where one of the two targets could not run the build. InputError: an image has no partner, or
    one of another shape.
    """
    if any(read_status(folder) != "ok" for folder in (outputs, reference)):
        return {}
    both = [name for name in _datasets(outputs) if (reference / name).is_dir()]
    return {name: _conformance(outputs / name, reference / name, executor) for name in both}


def _datasets(outputs: Path) -> list[str]:
    kinds = [folder for folder in outputs.iterdir() if folder.is_dir()]
    return sorted(f"{kind.name}/{folder.name}" for kind in kinds for folder in kind.iterdir())


def _conformance(folder: Path, reference: Path, executor: Executor) -> Conformance:
    paths = sorted(folder.rglob("*.png"))
    items = [Item(str(path), (path, reference / path.relative_to(folder))) for path in paths]
    equal, pixels, largest = zip(*executor.map(Comparing(), items, "compare"), strict=True)
    return Conformance(sum(equal) / sum(pixels), max(largest))


def _differences(pair: Contents) -> tuple[int, int, int]:
    path, partner = pair.paths
    ours, theirs = (read_rgb(path, data=data) for path, data in zip(pair.paths, pair.files, strict=True))
    if ours.shape != theirs.shape:
        raise InputError(f"{path}: its shape is not that of {partner}; run infer again on both targets")
    largest = (np.maximum(ours, theirs) - np.minimum(ours, theirs)).max(axis=2)
    return int((largest == 0).sum()), largest.size, int(largest.max())
