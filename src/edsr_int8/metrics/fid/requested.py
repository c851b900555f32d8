"""The FID that the section `fid` of params.yaml asks for, as a function of two folders."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edsr_int8.cluster.shipped import Shipped
from edsr_int8.cluster.work import Executor
from edsr_int8.metrics.fid.frechet import HERE, Features, Fid, FolderDistance, fid

THREADS = 2  # of torch, everywhere: another number adds in another order, and ends in other bits


@dataclass(frozen=True)
class RequestedFid:
    """What `probe` writes of the section."""

    weights: str
    sha256: str
    patch: int
    patches: int
    here: bool  # whether the weights are


@dataclass
class Inception:
    """The network's features of patches. What travels is its file of weights, loaded where it is used."""

    weights: Shipped
    sha256: str

    def __post_init__(self) -> None:
        self._features: Features | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return Inception, (self.weights, self.sha256)

    def __call__(self, patches: NDArray[np.uint8]) -> NDArray[Any]:
        if self._features is None:
            import torch  # seconds, which other scores do not wait for

            from edsr_int8.metrics.fid.inception import load_features

            torch.set_num_threads(THREADS)
            with self.weights.on_disk() as path:
                self._features = load_features(path, sha256=self.sha256)
        return self._features(patches)


def requested_fid(section: RequestedFid | None, executor: Executor = HERE) -> FolderDistance | None:
    """None where nobody asks for FID.

    Where the weights are not `here`, the function gives no distance and says so. It raises what
    `load_features` and `executor` do.
    """
    if section is None:
        return None
    if not section.here:
        return lambda *_: Fid(None, 0, f"no Inception weights at {section.weights}")
    features = Inception(Shipped(Path(section.weights)), section.sha256)
    return partial(fid, features=features, side=section.patch, most=section.patches, executor=executor)
