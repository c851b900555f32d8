"""Tiny sets of pairs, on one thread: many small steps are slower on more."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from edsr_int8.data.degrade.bicubic import enlarge, reduce
from edsr_int8.data.images import write_png
from edsr_int8.training.schedule import Training

MakePairs = Callable[..., Path]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def make_pairs(tmp_path: Path) -> MakePairs:
    def make(
        name: str = "pairs", *, images: int = 3, height: int = 24, width: int = 32, seed: int = 0
    ) -> Path:
        """Smooth random pictures and their reduction by 2, as {hr,lr}/<i>.png."""
        random = np.random.default_rng(seed)
        for i in range(images):
            coarse = random.integers(0, 256, (height // 4, width // 4, 3), np.uint8)
            high = enlarge(coarse, 4)
            write_png(tmp_path / name / "hr" / f"{i}.png", high)
            write_png(tmp_path / name / "lr" / f"{i}.png", reduce(high, 2))
        return tmp_path / name

    return make


@pytest.fixture
def tiny() -> Training:
    """A row that trains the smallest EDSR x2 for 12 steps."""
    return Training(
        source="official",
        network="edsr",
        features=8,
        blocks=1,
        scale=2,
        res_scale=1.0,
        upsampler="pixelshuffle",
        datasets=("pairs",),
        validation=("pairs",),
        start="",
        steps=12,
        batch=2,
        patch=8,
        learning_rate=2e-3,
        warmup=2,
        ema=0.5,
        validate_every=4,
    )
