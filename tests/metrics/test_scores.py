"""scores.json: written from typed scores and read back as the same."""

from pathlib import Path

import pytest

from edsr_int8.errors import InputError
from edsr_int8.metrics.fid.frechet import Fid
from edsr_int8.metrics.scores import (
    BuildFacts,
    BuildScores,
    ImageScore,
    MeanScore,
    Score,
    Unscored,
    read_scores,
    told,
    write_scores,
)

FIGURES = (33.5, 0.93, 30.0, 0.8)


def build_scores() -> BuildScores:
    image = ImageScore(*FIGURES, None, name="night/1")
    score = Score(
        *FIGURES, 45.0, images=1, per_image=(image,),
        per_sequence={"night": MeanScore(*FIGURES, None, images=1)}, fid=Fid(12.5, 64),
    )  # fmt: skip
    facts = BuildFacts(1000, 1.5, 3.3, 4096, 0.25, 0.125)
    ranges = {"head": {"low": -1.0, "high": 2.0, "scale": 0.0118, "zero_point": 85.0}}
    datasets = {"set": {"official": score, "card": Unscored("no card images")}}
    return BuildScores("ok", facts, ranges, datasets, colour_shifts=(0.0, 1.25))


def test_scores_read_back_as_they_were_written(tmp_path: Path) -> None:
    write_scores(tmp_path / "scores.json", build_scores())
    assert read_scores(tmp_path / "scores.json") == build_scores()


def test_scores_are_told_in_a_line_each() -> None:
    assert list(told(build_scores())) == [
        "set, official: 33.500 dB, the input 30.000, 45.0 dB from fp32",
        "set, card: no card images",
    ]
    gone = BuildScores("unavailable: no such card", build_scores().facts, {}, {})
    assert list(told(gone)) == ["unavailable: no such card"]


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"status": "ok", "facts": {}, "ranges": {}, "datasets": {}}']
)
def test_a_damaged_file_is_one_line_that_names_it(tmp_path: Path, text: str) -> None:
    path = tmp_path / "scores.json"
    path.write_text(text)
    with pytest.raises(InputError, match=rf"^{path}: .* run "):
        read_scores(path)
