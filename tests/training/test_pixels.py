"""The decoded store against the PNG files it was made of, and what it refuses."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edsr_int8.data.images import read_rgb, write_png
from edsr_int8.errors import InputError
from edsr_int8.training import pixels
from edsr_int8.training.pixels import decode

MakePairs = Callable[..., Path]


def test_views_equal_the_files(make_pairs: MakePairs, tmp_path: Path) -> None:
    first, second = make_pairs("a", images=2), make_pairs("b", images=1, seed=9)
    store = decode([first, second], scales=[2], store=tmp_path / "store")
    for folder, places in zip((first, second), store.folders, strict=True):
        for place in places:
            for image, side in zip(store.images(place), ("lr", "hr"), strict=True):
                np.testing.assert_array_equal(image, read_rgb(folder / side / f"{place.name}.png"))


def test_a_second_call_reads_no_image(
    make_pairs: MakePairs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_pairs()
    decode([folder], scales=[2], store=tmp_path / "store")
    monkeypatch.setattr(pixels, "read_rgb", lambda path: pytest.fail(f"read {path}"))
    decode([folder], scales=[2], store=tmp_path / "store")


def test_other_images_are_decoded_anew(make_pairs: MakePairs, tmp_path: Path) -> None:
    decode([make_pairs(images=2)], scales=[2], store=tmp_path / "store")
    assert len(decode([make_pairs(images=3)], scales=[2], store=tmp_path / "store").folders[0]) == 3


def test_other_images_of_the_same_names_and_sizes_are_decoded_anew(
    make_pairs: MakePairs, tmp_path: Path
) -> None:
    folder, sizes = tmp_path / "pairs", []
    for level in (50, 140):
        for name, length in (("lr", 8), ("hr", 16)):
            write_png(folder / name / "0.png", np.full((length, length, 3), level, np.uint8))
        sizes.append([file.stat().st_size for file in sorted(folder.rglob("*.png"))])
        store = decode([folder], scales=[2], store=tmp_path / "store")
        assert (store.memory == level).all()
    assert sizes[0] == sizes[1]


@pytest.mark.parametrize(("name", "kept"), [("pixels.json", 9), ("pixels.bin", 100)])
def test_a_damaged_store_is_made_anew(make_pairs: MakePairs, tmp_path: Path, name: str, kept: int) -> None:
    folder, store = make_pairs(), tmp_path / "store"
    whole = decode([folder], scales=[2], store=store).memory.tobytes()
    os.truncate(store / name, kept)
    assert decode([folder], scales=[2], store=store).memory.tobytes() == whole


def test_what_a_killed_run_left_half_decoded_goes(make_pairs: MakePairs, tmp_path: Path) -> None:
    store = tmp_path / "store"
    store.mkdir()
    (store / ".pixels.bin.123.part.bin").write_bytes(b"half")
    decode([make_pairs()], scales=[2], store=store)
    assert {file.name for file in store.iterdir()} == {"pixels.bin", "pixels.json"}


def test_a_folder_named_twice_is_kept_once(make_pairs: MakePairs, tmp_path: Path) -> None:
    folder = make_pairs()
    twice = decode([folder, folder], scales=[2], store=tmp_path / "twice")
    assert len(twice.folders) == 2
    assert twice.memory.size == decode([folder], scales=[2], store=tmp_path / "once").memory.size


def test_pixels_stay_on_disk(make_pairs: MakePairs, tmp_path: Path) -> None:
    store = decode([make_pairs()], scales=[2], store=tmp_path / "store")
    assert isinstance(store.memory, np.memmap)
    assert np.shares_memory(store.memory, store.images(store.folders[0][0])[1])


def test_decoding_holds_a_few_pairs_at_a_time(
    make_pairs: MakePairs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is read and not yet written is memory: at most DECODED_AHEAD pairs, however many there are."""
    read: list[Path] = []
    held: list[int] = []
    scale = pixels._scale

    def reading(path: Path) -> object:
        read.append(path)
        return read_rgb(path)

    def writing(*pair: object) -> int:
        held.append(len(read) - 2 * len(held))
        return scale(*pair)

    monkeypatch.setattr(pixels, "read_rgb", reading)
    monkeypatch.setattr(pixels, "_scale", writing)
    monkeypatch.setattr(pixels, "DECODED_AHEAD", 3)
    decode([make_pairs(images=10)], scales=[2], store=tmp_path / "store")
    assert len(held) == 10 and max(held) <= 2 * 3


def test_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nothing: holds no lr"):
        decode([tmp_path / "nothing"], scales=[2], store=tmp_path / "store")


def test_images_without_reference_are_refused(tmp_path: Path) -> None:
    write_png(tmp_path / "lr" / "x.png", np.zeros((4, 4, 3), np.uint8))
    with pytest.raises(InputError, match=r"x\.png: has no reference to learn from"):
        decode([tmp_path], scales=[2], store=tmp_path / "store")


def test_sizes_that_do_not_fit_are_refused(make_pairs: MakePairs, tmp_path: Path) -> None:
    folder = make_pairs()
    with pytest.raises(
        InputError, match=r"0\.png: lr is 16x12 and hr 32x24; hr must be 3 times as high and wide"
    ):
        decode([folder], scales=[3], store=tmp_path / "store")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_full_disk_is_one_line_and_leaves_nothing(
    make_pairs: MakePairs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    folder, store = make_pairs(), tmp_path / "store"

    def full(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(
        InputError,
        match=r"pixels\.bin: (the disk is full|your quota is used up) \(\d+ MB free\); make room",
    ):
        decode([folder], scales=[2], store=store)
    assert list(store.iterdir()) == []
