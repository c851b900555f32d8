"""Data sets as the pipeline keeps them: the published pixels, whole or not at all."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import PIL.Image
import pytest

from edsr_int8.data.degrade.blur import shake
from edsr_int8.data.images import read_rgb, write_png
from edsr_int8.data.pairs.dataset import make_dataset
from edsr_int8.data.pairs.read import read_pairs
from edsr_int8.data.pairs.row import DatasetRow
from edsr_int8.errors import InputError

RANDOM = np.random.default_rng(0)


def x2(folder: Path, **changes: Any) -> DatasetRow:
    return replace(DatasetRow("sr", 2, str(folder), hr="hr/*", lr="lr/*"), **changes)


def shaken(folder: Path, **changes: Any) -> DatasetRow:
    return replace(DatasetRow("deblur", 1, str(folder), hr="hr/*", lr=""), **changes)


def noise(height: int, width: int) -> np.ndarray:
    return RANDOM.integers(0, 256, (height, width, 3), np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two pairs of x2: a plain one, and one whose hr is a pixel too wide."""
    for name, (height, width) in {"a": (8, 12), "b": (8, 13)}.items():
        write_png(tmp_path / "in/hr" / f"{name}.png", noise(height, width))
        write_png(tmp_path / "in/lr" / f"{name}.png", noise(4, 6))
    return tmp_path / "in"


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.png")}


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_lr_made_from_set5_is_the_published_one(shared: Path, tmp_path: Path, scale: int) -> None:
    """The published set is read as it is, by its file names; the other is our bicubic of hr: equal pixels."""
    row = DatasetRow("sr", scale, str(shared / "data/Set5"), hr="HR/*.png", lr="")
    make_dataset(row, tmp_path / "ours")
    make_dataset(replace(row, lr=f"LR_bicubic/X{scale}/*.png"), tmp_path / "given")
    pairs = zip(read_pairs(tmp_path / "ours"), read_pairs(tmp_path / "given"), strict=True)
    for ours, given in pairs:
        published = cv2.imread(str(shared / f"data/Set5/LR_bicubic/X{scale}/{given.name}x{scale}.png"))
        np.testing.assert_array_equal(read_rgb(ours.lr), published[..., ::-1])
        np.testing.assert_array_equal(read_rgb(given.lr), published[..., ::-1])
        assert ours.hr and given.hr and ours.hr.read_bytes() == given.hr.read_bytes()
        assert read_rgb(given.hr).shape == (scale * published.shape[0], scale * published.shape[1], 3)


def test_pixels_arrive_unchanged_and_hr_is_cropped_to_lr(folder: Path, tmp_path: Path) -> None:
    make_dataset(x2(folder), tmp_path / "out")
    for pair in read_pairs(tmp_path / "out"):
        assert pair.hr
        np.testing.assert_array_equal(read_rgb(pair.lr), read_rgb(folder / f"lr/{pair.name}.png"))
        np.testing.assert_array_equal(read_rgb(pair.hr), read_rgb(folder / f"hr/{pair.name}.png")[:8, :12])


def test_a_file_of_another_format_becomes_a_png(folder: Path, tmp_path: Path) -> None:
    PIL.Image.fromarray(noise(8, 12)[..., 0]).save(folder / "hr/a.jpg")
    (folder / "hr/a.png").unlink()
    make_dataset(x2(folder), tmp_path / "out")
    decoded = cv2.imread(str(folder / "hr/a.jpg"), cv2.IMREAD_COLOR)
    np.testing.assert_array_equal(cv2.imread(str(tmp_path / "out/hr/a.png"), cv2.IMREAD_UNCHANGED), decoded)


def test_links_into_dvcs_cache_are_linked_and_a_users_own_files_copied(folder: Path, tmp_path: Path) -> None:
    cached, own, lr = folder / "lr/a.png", folder / "lr/b.png", tmp_path / "out/lr"
    cached.chmod(0o444)
    (tmp_path / "cache").hardlink_to(cached)
    own.chmod(0o444)
    (folder / "lr/c.png").symlink_to("a.png")
    make_dataset(x2(folder, hr=""), tmp_path / "out")
    assert (lr / "a.png").samefile(cached)
    assert (lr / "c.png").samefile(cached) and not (lr / "c.png").is_symlink()
    assert not (lr / "b.png").samefile(own) and (lr / "b.png").read_bytes() == own.read_bytes()


def test_without_hr_there_is_lr_alone(folder: Path, tmp_path: Path) -> None:
    make_dataset(x2(folder, hr="", limit=1), tmp_path / "out")
    assert contents(tmp_path / "out").keys() == {"lr/a.png"}


def test_every_copy_is_shaken_in_its_own_way(folder: Path, tmp_path: Path) -> None:
    make_dataset(shaken(folder, seed=7, copies=2), tmp_path / "out")
    for index, name in enumerate("ab"):
        sharp = read_rgb(folder / f"hr/{name}.png")
        for copy in (0, 1):
            np.testing.assert_array_equal(read_rgb(tmp_path / f"out/hr/{name}_{copy}.png"), sharp)
            blurred = read_rgb(tmp_path / f"out/lr/{name}_{copy}.png")
            np.testing.assert_array_equal(blurred, shake(sharp, seed=(7, index, copy)))
    assert len({*contents(tmp_path / "out/lr").values()}) == 4


@pytest.mark.parametrize("row", [x2, partial(x2, lr=""), shaken], ids=["pairs", "bicubic", "shaken"])
def test_a_crop_is_the_middle_of_what_the_whole_gives(folder: Path, tmp_path: Path, row: Any) -> None:
    make_dataset(row(folder), tmp_path / "whole")
    make_dataset(row(folder, crop=6), tmp_path / "crop")
    scale = row(folder).scale
    whole, cropped = (list(read_pairs(tmp_path / name)) for name in ("whole", "crop"))
    for all_of_it, middle in zip(whole, cropped, strict=True):
        assert all_of_it.hr and middle.hr
        top, left = {1: (1, 3), 2: (0, 1)}[scale]  # of the degraded image: 8x12 or 8x13, and 4x6
        small = np.s_[top : top + 6 // scale, left : left + 6 // scale]
        large = np.s_[top * scale : top * scale + 6, left * scale : left * scale + 6]
        np.testing.assert_array_equal(read_rgb(middle.lr), read_rgb(all_of_it.lr)[small])
        np.testing.assert_array_equal(read_rgb(middle.hr), read_rgb(all_of_it.hr)[large])


def test_an_image_smaller_than_the_crop_is_named(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"hr/a\.png: 8x12 pixels of it are there, crop asks for 10"):
        make_dataset(x2(folder, crop=10, lr=""), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("row", [x2, partial(x2, lr=""), shaken], ids=["pairs", "bicubic", "shaken"])
def test_made_twice_it_has_the_same_bytes(folder: Path, tmp_path: Path, row: Any) -> None:
    for out in ("one", "two"):
        make_dataset(row(folder), tmp_path / out)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_an_old_set_is_replaced_whole(folder: Path, tmp_path: Path) -> None:
    make_dataset(x2(folder), tmp_path / "out")
    make_dataset(x2(folder, limit=1), tmp_path / "out")
    assert contents(tmp_path / "out").keys() == {"hr/a.png", "lr/a.png"}


def test_a_damaged_image_is_named_and_leaves_nothing(folder: Path, tmp_path: Path) -> None:
    whole = (folder / "lr/b.png").read_bytes()
    (folder / "lr/b.png").write_bytes(whole[:60])
    with pytest.raises(InputError, match=r"^\S+/lr/b\.png: does not decode"):
        make_dataset(x2(folder), tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_pairs_that_do_not_fit_leave_nothing(folder: Path, tmp_path: Path) -> None:
    (folder / "lr/b.png").unlink()
    with pytest.raises(InputError, match=r"^images without a partner: \S+/hr/b\.png"):
        make_dataset(x2(folder), tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["in"]
