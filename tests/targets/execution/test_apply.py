"""A single picture, in files."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.ExifTags import Base
from tiny_build import Tiny, photograph
from tiny_qdq import write_edsr

from edsr_int8.__main__ import main
from edsr_int8.data.images import read_rgb
from edsr_int8.errors import InputError
from edsr_int8.targets.execution.apply import apply_image
from edsr_int8.targets.row import TargetRow

OPTIONS = TargetRow("onnxruntime", threads=1, memory_budget_mb=1024)


def test_a_picture_of_another_format_is_upscaled(tiny: Tiny, tmp_path: Path) -> None:
    pixels = photograph(30, 40)
    Image.fromarray(pixels).save(tmp_path / "in.bmp")
    apply_image(tiny.path, tmp_path / "in.bmp", tmp_path / "out.png", OPTIONS)
    expected = tiny.expected(pixels.transpose(2, 0, 1)[None])[0].transpose(1, 2, 0)
    assert np.array_equal(read_rgb(tmp_path / "out.png"), expected)


def test_a_photograph_comes_out_upright(tiny: Tiny, tmp_path: Path) -> None:
    pixels = photograph(30, 40)
    exif = Image.Exif()
    exif[Base.Orientation] = 6  # to be shown turned right by a quarter
    Image.fromarray(np.rot90(pixels)).save(tmp_path / "in.webp", lossless=True, exif=exif)
    apply_image(tiny.path, tmp_path / "in.webp", tmp_path / "out.png", OPTIONS)
    expected = tiny.expected(pixels.transpose(2, 0, 1)[None])[0].transpose(1, 2, 0)
    assert np.array_equal(read_rgb(tmp_path / "out.png"), expected)


def test_what_cannot_be_done_is_one_line_and_no_file(tiny: Tiny, foreign: Path, tmp_path: Path) -> None:
    Image.fromarray(photograph(30, 40)).save(tmp_path / "in.png")
    for model, source, out, says in (
        (tiny.path, "missing.png", "out.png", r"missing\.png"),
        (tiny.path, "in.png", "out.jpg", r"out\.jpg: .*\.png"),
        (foreign, "in.png", "out.png", r"Unheard"),
    ):
        with pytest.raises(InputError, match=says):
            apply_image(model, tmp_path / source, tmp_path / out, OPTIONS)
    assert not list(tmp_path.glob("out*"))


def command(*words: str | Path) -> int:
    return main(["apply", *map(str, words)])


def test_the_command_writes_the_same_picture_in_tiles(tmp_path: Path) -> None:
    write_edsr(tmp_path / "model.onnx")
    Image.fromarray(photograph(60, 90)).save(tmp_path / "in.png")
    for out, budget in (("whole.png", "2000"), ("tiles.png", "334")):
        files = (tmp_path / "model.onnx", tmp_path / "in.png", tmp_path / out)
        assert command(*files, "--target", "integer", "--threads", "1", "--memory-budget-mb", budget) == 0
    assert np.array_equal(read_rgb(tmp_path / "whole.png"), read_rgb(tmp_path / "tiles.png"))
    assert read_rgb(tmp_path / "whole.png").shape == (120, 180, 3)


@pytest.mark.parametrize(
    "options, says",
    [
        (["--target", "toaster"], "'toaster' is unknown; known are"),
        (["--target", "integer"], "integer runs int8 builds, not float32"),
        (["--provider", "NoSuchProvider"], "CPUExecutionProvider"),
        (["--threads", "-1"], "--threads: -1"),
        (["--threads", "3000000000"], "--threads: 3000000000"),
        (["--target", "vacc"], "--target: vacc runs one fixed shape"),
        (["--memory-budget-mb", "8"], "give at least"),
    ],
)
def test_a_wrong_option_is_one_line(
    options: list[str], says: str, tiny: Tiny, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.fromarray(photograph(30, 40)).save(tmp_path / "in.png")
    assert command(tiny.path, tmp_path / "in.png", tmp_path / "out.png", *options) == 1
    said = capsys.readouterr().err
    assert said.startswith("error: ") and said.count("\n") == 1 and says in said
    assert not (tmp_path / "out.png").exists()
