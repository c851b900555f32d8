"""Pictures in files: one, or a folder of them."""

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
from edsr_int8.targets.execution.apply import apply
from edsr_int8.targets.row import TargetRow

ROW = TargetRow("onnxruntime", threads=1, memory_budget_mb=1024)


def test_a_picture_of_another_format_is_upscaled(tiny: Tiny, tmp_path: Path) -> None:
    pixels = photograph(30, 40)
    Image.fromarray(pixels).save(tmp_path / "in.bmp")
    apply(tiny.path, tmp_path / "in.bmp", tmp_path / "out.png", ROW)
    expected = tiny.expected(pixels.transpose(2, 0, 1)[None])[0].transpose(1, 2, 0)
    assert np.array_equal(read_rgb(tmp_path / "out.png"), expected)


def test_a_photograph_comes_out_upright(tiny: Tiny, tmp_path: Path) -> None:
    pixels = photograph(30, 40)
    exif = Image.Exif()
    exif[Base.Orientation] = 6  # to be shown turned right by a quarter
    Image.fromarray(np.rot90(pixels)).save(tmp_path / "in.webp", lossless=True, exif=exif)
    apply(tiny.path, tmp_path / "in.webp", tmp_path / "out.png", ROW)
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
            apply(model, tmp_path / source, tmp_path / out, ROW)
    assert not list(tmp_path.glob("out*"))


def test_a_folder_of_pictures_gives_a_folder(tiny: Tiny, tmp_path: Path) -> None:
    (tmp_path / "in" / "deep").mkdir(parents=True)
    pixels = {"a.BMP": photograph(30, 40), "deep/b.png": photograph(20, 25)}
    for name, image in pixels.items():
        Image.fromarray(image).save(tmp_path / "in" / name)
    for name in ("Thumbs.db", "._a.png", "notes.txt"):
        (tmp_path / "in" / name).write_text("no picture")
    apply(tiny.path, tmp_path / "in", tmp_path / "out", ROW)
    written = sorted(p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").rglob("*.*"))
    assert written == ["a.png", "deep/b.png"]
    for name, image in pixels.items():
        expected = tiny.expected(image.transpose(2, 0, 1)[None])[0].transpose(1, 2, 0)
        assert np.array_equal(read_rgb((tmp_path / "out" / name).with_suffix(".png")), expected)


def test_a_folder_that_cannot_be_done_is_one_line_and_no_file(tiny: Tiny, tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    (tmp_path / "twins").mkdir()
    for name in ("a.png", "a.jpg"):
        Image.fromarray(photograph(9, 9)).save(tmp_path / "twins" / name)
    for source, out, says in (
        ("none", "out", r"none: holds no picture \(\.bmp, "),
        ("twins", "out", r"a\.png: would become .*out.a\.png, as .*a\.jpg does"),
        ("twins", "out.png", r"out\.png: .*twins is a folder; name a folder"),
        ("twins", "twins/out", r"out: lies in .*twins; name a folder outside"),
    ):
        with pytest.raises(InputError, match=says):
            apply(tiny.path, tmp_path / source, tmp_path / out, ROW)
    assert not list(tmp_path.rglob("out*"))


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
