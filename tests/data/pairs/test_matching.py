"""Which files make a pair: the names that public data sets use, and every way in which files do not fit."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edsr_int8.data.images import write_png
from edsr_int8.data.pairs.matching import find_pairs
from edsr_int8.errors import InputError


@pytest.fixture
def folder(tmp_path: Path) -> Any:
    """A folder of images, by path and (height, width)."""

    def make(files: dict[str, tuple[int, int]]) -> Path:
        for name, (height, width) in files.items():
            write_png(tmp_path / name, np.zeros((height, width, 3), np.uint8))
        return tmp_path

    return make


def found(root: Path, hr: str, lr: str, scale: int = 2, limit: int = 0) -> dict[str, tuple[str | None, ...]]:
    pairs = find_pairs(root, hr=hr, lr=lr, scale=scale, limit=limit)
    sides = {pair.name: (pair.hr, pair.lr) for pair in pairs}
    return {
        name: tuple(path and path.relative_to(root).as_posix() for path in side)
        for name, side in sides.items()
    }


LAYOUTS = {
    "DIV2K": (
        "DIV2K_valid_HR/*.png",
        "DIV2K_valid_LR_bicubic/X2/*.png",
        {"0801": ("DIV2K_valid_HR/0801.png", "DIV2K_valid_LR_bicubic/X2/0801x2.png")},
    ),
    "SelfExSR": (
        "image_SRF_2/*_HR.png",
        "image_SRF_2/*_LR.png",
        {"img_001": ("image_SRF_2/img_001_SRF_2_HR.png", "image_SRF_2/img_001_SRF_2_LR.png")},
    ),
    "MATLAB": ("HR/*.png", "LR_bicubic/X2/*", {"baby": ("HR/baby.png", "LR_bicubic/X2/babyx2.png")}),
    "equal": ("HR/*", "LR/*", {"a": ("HR/a.png", "LR/a.png"), "b.v1": ("HR/b.v1.png", "LR/b.v1.png")}),
    "numbers that end in x2": (
        "HR/*",
        "LR/*",
        {"a": ("HR/a.png", "LR/ax2.png"), "ax2": ("HR/ax2.png", "LR/ax2x2.png")},
    ),
    "underscore": ("HR/*", "LR/*", {"0801": ("HR/0801.png", "LR/0801_x2.png")}),
    "LR2": ("HR/*", "LR/*", {"0801": ("HR/0801.png", "LR/0801_LR2.png")}),
    "HR and LR": ("*_HR.png", "LR/*", {"0801": ("0801_HR.png", "LR/0801_LR.png")}),
    "capital X": ("HR/*", "LR/*", {"0801": ("HR/0801.png", "LR/0801X2.png")}),
    "open folder of the scale": ("HR/*", "LR/**/*", {"0801": ("HR/0801.png", "LR/X2/0801.png")}),
    "folder and ending": ("HR/*", "LR/*/*", {"0801": ("HR/0801.png", "LR/X2/0801x2.png")}),
    "folders that are no scales": ("HR/*/*", "LR/*/*", {"x3/1": ("HR/x3/1.png", "LR/x3/1.png")}),
    "own endings": ("*_sharp.png", "*_blurred.png", {"cup": ("cup_sharp.png", "cup_blurred.png")}),
    "GoPro": (
        "*/sharp/*.png",
        "*/blur/*.png",
        {
            "GOPR0384_11_00/000047": ("GOPR0384_11_00/sharp/000047.png", "GOPR0384_11_00/blur/000047.png"),
            "GOPR0385_11_01/000047": ("GOPR0385_11_01/sharp/000047.png", "GOPR0385_11_01/blur/000047.png"),
        },
    ),
    "any depth": (
        "**/sharp/*.png",
        "**/blur/*.png",
        {"0": ("sharp/0.png", "blur/0.png"), "a/b/0": ("a/b/sharp/0.png", "a/b/blur/0.png")},
    ),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_public_layouts_pair_up(folder: Any, layout: str) -> None:
    hr, lr, pairs = LAYOUTS[layout]
    root = folder({path: (8, 8) for path, _ in pairs.values()} | {path: (4, 4) for _, path in pairs.values()})
    assert found(root, hr, lr) == pairs


def test_one_side_alone_needs_no_partner(folder: Any) -> None:
    root = folder({"0801x2.png": (4, 4), "0802x2.png": (4, 4)})
    assert found(root, "", "*.png") == {"0801x2": (None, "0801x2.png"), "0802x2": (None, "0802x2.png")}
    assert found(root, "*1x2.png", "") == {"0801x2": ("0801x2.png", None)}


def test_limit_takes_the_first_by_name(folder: Any) -> None:
    root = folder({f"{name}.png": (4, 4) for name in ("c", "a", "b")})
    assert list(found(root, "*.png", "", limit=2)) == ["a", "b"]


@pytest.mark.parametrize("hr_shape", [(9, 10), (10, 9), (11, 11)])
def test_a_remainder_of_hr_is_allowed(folder: Any, hr_shape: tuple[int, int]) -> None:
    root = folder({"HR/a.png": hr_shape, "LR/a.png": (3, 3)})
    assert list(found(root, "HR/*", "LR/*", scale=3)) == ["a"]


@pytest.mark.parametrize("lr_shape", [(4, 3), (3, 4), (2, 3), (5, 5), (10, 10)])
def test_lr_of_another_size_is_listed(folder: Any, lr_shape: tuple[int, int]) -> None:
    root = folder({"HR/a.png": (10, 11), "LR/a.png": lr_shape, "HR/b.png": (9, 9), "LR/b.png": (3, 3)})
    shapes = f"a (hr 11x10, lr {lr_shape[1]}x{lr_shape[0]})"
    with pytest.raises(
        InputError, match=re.escape(f"hr is not 3 times as wide and high as lr: {shapes}; check")
    ):
        find_pairs(root, hr="HR/*", lr="LR/*", scale=3)


def test_hr_smaller_than_the_scale_is_listed(folder: Any) -> None:
    with pytest.raises(InputError, match=re.escape("a (hr 2x9)")):
        find_pairs(folder({"a.png": (9, 2)}), hr="*", lr="", scale=3)


def test_images_without_a_partner_are_listed_and_counted(folder: Any) -> None:
    extra = {f"HR/{number:04}.png": (8, 8) for number in range(2, 14)}
    root = folder({"HR/0001.png": (8, 8), "LR/0001x2.png": (4, 4), "LR/0099x2.png": (4, 4)} | extra)
    with pytest.raises(
        InputError, match=r"without a partner: \S+/HR/0002\.png, .*\.\.\. \(13 in all\)"
    ) as caught:
        find_pairs(root, hr="HR/*", lr="LR/*", scale=2)
    assert str(caught.value).count(".png") == 10


def test_lr_of_another_scale_has_no_partner(folder: Any) -> None:
    root = folder({"HR/0001.png": (8, 8), "LR/0001x4.png": (2, 2)})
    with pytest.raises(InputError, match="same name, or lr's ends in x2"):
        find_pairs(root, hr="HR/*", lr="LR/*", scale=2)


def test_folders_of_other_scales_are_left_out(folder: Any) -> None:
    root = folder({"HR/a.png": (12, 12), "LR/x2/a.png": (6, 6), "LR/x3/a.png": (4, 4), "LR/x4/a.png": (3, 3)})
    assert found(root, "HR/*", "LR/*/*", scale=3) == {"a": ("HR/a.png", "LR/x3/a.png")}


def test_letters_with_accents_pair_however_they_are_composed(folder: Any) -> None:
    """macOS decomposes file names; most other programs do not."""
    apart, together = "cafe\N{COMBINING ACUTE ACCENT}", "caf\N{LATIN SMALL LETTER E WITH ACUTE}"
    root = folder({f"HR/{apart}.png": (8, 8), f"LR/{together}.png": (4, 4)})
    assert found(root, "HR/*", "LR/*") == {together: (f"HR/{apart}.png", f"LR/{together}.png")}


def test_extensions_pair_in_any_case(folder: Any) -> None:
    root = folder({f"HR/{name}.png": (8, 8) for name in "abc"} | {f"LR/{name}.png": (4, 4) for name in "abc"})
    (root / "HR/b.png").rename(root / "HR/b.PNG")
    (root / "LR/c.png").rename(root / "LR/c.Png")
    assert list(found(root, "HR/*.png", "LR/*.PNG")) == ["a", "b", "c"]


def test_two_files_of_one_name_are_listed(folder: Any) -> None:
    root = folder({"a.png": (8, 8)})
    (root / "a.jpg").write_bytes((root / "a.png").read_bytes())
    with pytest.raises(InputError, match=r"images of one name: \S+/a\.jpg and \S+/a\.png; remove one"):
        find_pairs(root, hr="*", lr="", scale=2)


def test_a_file_found_by_both_patterns_is_named(folder: Any) -> None:
    root = folder({"baby.png": (8, 8), "babyx2.png": (4, 4)})
    with pytest.raises(InputError, match=r"both find \S+/babyx2\.png; keep the two sides in two folders"):
        find_pairs(root, hr="*.png", lr="*x2.png", scale=2)


def test_missing_folder_and_empty_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"{tmp_path}/gone: no such folder"):
        find_pairs(tmp_path / "gone", hr="*.png", lr="", scale=2)
    with pytest.raises(InputError, match=rf"{tmp_path}: no file matches '\*\.png'"):
        find_pairs(tmp_path, hr="*.png", lr="", scale=2)


@pytest.mark.parametrize(("name", "shown"), [("a\nb.png", r"a\\nb\.png"), ("a\udcff.png", r"a\\udcff\.png")])
def test_names_that_would_break_a_table_are_refused(folder: Any, name: str, shown: str) -> None:
    root = folder({name: (4, 4)})
    with pytest.raises(InputError, match=rf"{shown}: a name with line ends, or that is no UTF-8; rename it"):
        find_pairs(root, hr="*.png", lr="", scale=2)
