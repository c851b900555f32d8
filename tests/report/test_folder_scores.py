"""`edsr-int8 score` as a user reads it."""

import json
from pathlib import Path

import numpy as np
import pytest
from skimage import data

from edsr_int8.__main__ import main
from edsr_int8.data.images import write_png
from edsr_int8.metrics.score_folders import FolderScores, ProtocolScore
from edsr_int8.report.folder_scores import as_text

SCORES = FolderScores(
    images=5,
    protocols={
        "official": ProtocolScore("RGB", 8, 35.6181, 0.9426),
        "basicsr": ProtocolScore("RGB", 2, 35.6177, 0.9427),
        "benchmark_y": ProtocolScore("Y", 2, 37.8011, 0.9598),
        "card": ProtocolScore("RGB", 0, 35.5909, 0.9428),
    },
    rounded_luma_psnr_db=37.7195,
    pooled_psnr_db=35.5362,
    jpeg_psnr_db=41.5,
    notes=["a.png: 80x64, its reference 83x65; both cropped from the top left to 80x64"],
)


def test_the_table_is_followed_by_what_each_choice_changes() -> None:
    lines = as_text(SCORES).splitlines()
    assert len({len(line) for line in lines[:6]}) == 1  # heading, rule, four protocols
    assert lines[4].split()[1:10:2] == ["benchmark_y", "Y", "2", "37.8011", "0.959800"]
    text = "\n".join(lines)
    assert "RGB: 0 pixels 35.5909, 2 pixels 35.6177, 8 pixels 35.6181" in text
    assert "Y in place of RGB, 2 pixels left out: +2.1834" in text
    assert "MATLAB does: -0.0816" in text and "not a mean of PSNRs: -0.0815" in text
    assert "outputs are JPEG" in text and "41.5000" in text
    assert lines[-1].startswith("note: a.png: 80x64")


@pytest.fixture
def folders(tmp_path: Path) -> list[str]:
    image = data.astronaut()[:64, :80]
    write_png(tmp_path / "outputs" / "a.png", np.clip(image.astype(int) + 3, 0, 255).astype(np.uint8))
    write_png(tmp_path / "references" / "a.png", image)
    return [str(tmp_path / "outputs"), str(tmp_path / "references")]


def test_the_command_prints_a_table_or_json(folders: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["score", *folders, "--scale", "2"]) == 0
    assert "| basicsr " in capsys.readouterr().out
    assert main(["score", *folders, "--scale", "2", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["images"] == 1 and found["protocols"]["benchmark_y"]["border"] == 2


def test_a_folder_that_is_not_there_is_one_line(
    folders: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["score", folders[0] + "x", folders[1], "--scale", "2"]) == 1
    assert capsys.readouterr().err == f"error: {folders[0]}x: no such folder\n"
