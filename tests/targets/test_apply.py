"""A single picture, in files."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edsr_int8.data.images import read_rgb
from edsr_int8.errors import InputError
from edsr_int8.targets.apply import apply_image
from edsr_int8.targets.base import TargetOptions
from tiny_build import Tiny, photograph

OPTIONS = TargetOptions("onnxruntime", "", threads=1, memory_budget_mb=1024)


def test_a_picture_of_another_format_is_upscaled(tiny: Tiny, tmp_path: Path) -> None:
    pixels = photograph(30, 40)
    Image.fromarray(pixels).save(tmp_path / "in.bmp")
    apply_image(tiny.path, tmp_path / "in.bmp", tmp_path / "out.png", OPTIONS)
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
