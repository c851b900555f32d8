"""Scores of a build's folders: FID stands with every protocol that scores images of one shape."""

from pathlib import Path

import numpy as np
import pytest

from edsr_int8.data.images import write_png
from edsr_int8.metrics.fid.frechet import Fid, FolderDistance
from edsr_int8.metrics.score_build import score_build
from edsr_int8.metrics.scores import Score


@pytest.fixture
def build(tmp_path: Path) -> Path:
    """One x1 pair and its output, native and at the card's shape."""
    noise = np.random.default_rng(0)
    for kind, shape in (("evaluation", (40, 48, 3)), ("card", (32, 32, 3))):
        for folder in (f"images/{kind}/set/lr", f"images/{kind}/set/hr", f"outputs/{kind}/set"):
            write_png(tmp_path / folder / "a.png", noise.integers(0, 256, shape).astype(np.uint8))
    return tmp_path


def fids(build: Path, fid: FolderDistance | None) -> dict[str, Fid | None]:
    scores = score_build(
        build / "images", build / "outputs", None, build / "crops", datasets=["set"],
        protocols=["official", "basicsr", "card"], scale=1, partial=build / "partial", fid=fid,
    )  # fmt: skip
    return {name: score.fid for name, score in scores["set"].items() if isinstance(score, Score)}


def test_fid_compares_the_images_that_the_protocol_scores(build: Path) -> None:
    asked = []

    def fid(outputs: Path, references: Path) -> Fid:
        asked.append((outputs.relative_to(build).as_posix(), references.relative_to(build).as_posix()))
        return Fid(float(len(asked)), 64)

    found = fids(build, fid)
    kinds = ("card", "evaluation")
    assert asked == [(f"outputs/{kind}/set", f"images/{kind}/set/hr") for kind in kinds]
    assert found == {"card": Fid(1.0, 64), "official": Fid(2.0, 64), "basicsr": Fid(2.0, 64)}


def test_why_fid_is_missing_stands_in_its_place(build: Path) -> None:
    missing = Fid(None, 0, "no weights")
    assert set(fids(build, lambda *_: missing).values()) == {missing}


def test_nothing_is_said_of_a_fid_that_nobody_asked_for(build: Path) -> None:
    assert set(fids(build, None).values()) == {None}
