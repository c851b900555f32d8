"""The canonical set, read back."""

from pathlib import Path

import pytest

from edsr_int8.data.pairs.read import Pair, read_pairs
from edsr_int8.errors import InputError


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def test_pairs_come_by_name_with_their_sequence(tmp_path: Path) -> None:
    names = ["b", "a/0002", "a/0001", "a.v2"]
    touch(tmp_path, *(f"{side}/{name}.png" for side in ("lr", "hr") for name in names))
    assert read_pairs(tmp_path) == [
        Pair(name, tmp_path / "lr" / f"{name}.png", tmp_path / "hr" / f"{name}.png") for name in sorted(names)
    ]


def test_a_set_without_references_has_none(tmp_path: Path) -> None:
    touch(tmp_path, "lr/a.png")
    assert read_pairs(tmp_path) == [Pair("a", tmp_path / "lr/a.png", None)]


def test_an_empty_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=rf"{tmp_path}: holds no lr/\*\.png"):
        read_pairs(tmp_path)


@pytest.mark.parametrize("alone", ["lr/b.png", "hr/b.png"])
def test_half_a_pair_is_refused(tmp_path: Path, alone: str) -> None:
    touch(tmp_path, "lr/a.png", "hr/a.png", alone)
    with pytest.raises(InputError, match=r"b\.png is in one of lr/ and hr/ only"):
        read_pairs(tmp_path)
