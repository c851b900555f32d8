"""Every reader of what stages write: damage ends in one line with the file, right bytes in the values."""

import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edsr_int8.artifacts import read_csv, read_json, read_npz
from edsr_int8.errors import InputError
from edsr_int8.files import write_csv, write_json


@dataclass(frozen=True)
class Part:
    name: str
    psnr_db: float | None


@dataclass(frozen=True)
class Row:
    parts: tuple[Part, ...]
    blocks: int


@dataclass(frozen=True)
class Point:
    step: int
    mse: float


def refusal(read: Callable[[], Any], path: Path) -> str:
    with pytest.raises(InputError) as caught:
        read()
    text = str(caught.value)
    assert text.startswith(f"{path}: ") and "\n" not in text
    return text


def test_json_becomes_dataclasses(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json(path, {"parts": [{"name": "caf\u00e9", "psnr_db": 34.5}], "blocks": 3})
    assert read_json(path, Row, "evaluate") == Row((Part("caf\u00e9", 34.5),), 3)


@pytest.mark.parametrize(
    "content",
    [
        b"", b"{", b"\xff\xfe\x00", b"[]", b"null", b'{"parts": [], "blockx": 3}',
        b'{"parts": [], "blocks": 1.5}', b'{"parts": [], "blocks": 1e999}',
        b'{"parts": [{"name": 1, "psnr_db": null}], "blocks": 1}', b"[" * 100_000,
    ],
)  # fmt: skip
def test_damaged_json_is_told_with_the_stage_to_run(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.json").write_bytes(content)
    text = refusal(lambda: read_json(tmp_path / "a.json", Row, "evaluate"), tmp_path / "a.json")
    assert "not what evaluate writes" in text and "delete it and run it again" in text


def test_a_missing_file_says_which_stage_makes_it(tmp_path: Path) -> None:
    text = refusal(lambda: read_json(tmp_path / "a.json", Row, "time"), tmp_path / "a.json")
    assert text.endswith("a.json: not found; run the time stage first")


def test_csv_becomes_dataclasses(tmp_path: Path) -> None:
    write_csv(tmp_path / "a.csv", ["step", "mse"], [(1, 0.5), (2, "nan")])
    first, second = read_csv(tmp_path / "a.csv", Point, "finetune")
    assert first == Point(1, 0.5) and np.isnan(second.mse)
    (tmp_path / "a.csv").write_bytes(b"")
    assert read_csv(tmp_path / "a.csv", Point, "finetune") == []


@pytest.mark.parametrize(
    "content", [b"step,mse\n1\n", b"step,mse\nx,1\n", b"stop,mse\n1,1\n", b"step,mse\n1,1,1\n",
                b"step,mse\n1,\x00\n", b'step,mse\n1,"' + b"9" * 200_000, b"step,mse\n\xff,1\n",
                b"step,mse,mse\n1,2,3\n"],
)  # fmt: skip
def test_damaged_csv_is_told(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.csv").write_bytes(content)
    assert "not what finetune writes" in refusal(
        lambda: read_csv(tmp_path / "a.csv", Point, "finetune"), tmp_path / "a.csv"
    )


def test_npz_gives_all_arrays(tmp_path: Path) -> None:
    arrays = {"a": np.arange(6.0).reshape(2, 3), "b": np.array("text"), "c": np.zeros((0, 4), np.uint8)}
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "a.npz", **arrays)
        found = read_npz(tmp_path / "a.npz", "observe")
        assert found.keys() == arrays.keys()
        for name, array in arrays.items():
            np.testing.assert_array_equal(found[name], array)


def npz(header: bytes, content: bytes, path: Path) -> None:
    """One array whose header says what it likes, with right checksums."""
    npy = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + content
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.npy", npy)


@pytest.mark.parametrize(
    "shape", ["(1000000000000,)", "(4,)", "(-1,)", "(2, 99999999999999999999)", "('a',)", "(1e3,)"]
)
def test_an_array_that_its_file_cannot_hold_is_told(tmp_path: Path, shape: str) -> None:
    npz(
        f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}}}\n".encode(),
        bytes(16),
        tmp_path / "a.npz",
    )
    assert "not what observe writes" in refusal(
        lambda: read_npz(tmp_path / "a.npz", "observe"), tmp_path / "a.npz"
    )


def test_an_array_of_objects_is_not_unpickled(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", a=np.array([print, {}], dtype=object))
    refusal(lambda: read_npz(tmp_path / "a.npz", "observe"), tmp_path / "a.npz")


def test_a_small_file_of_many_gigabytes_is_told(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        zeros = bytes(2**24)
        for number in range(33):
            archive.writestr(f"{number}.npy", zeros)
    text = refusal(lambda: read_npz(tmp_path / "a.npz", "observe"), tmp_path / "a.npz")
    assert "many times as large as the file" in text


def test_a_flipped_bit_of_an_array_is_told(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", a=np.arange(100.0))
    content = bytearray((tmp_path / "a.npz").read_bytes())
    content[content.index(np.arange(100.0).tobytes()) + 400] ^= 1
    (tmp_path / "a.npz").write_bytes(content)
    refusal(lambda: read_npz(tmp_path / "a.npz", "observe"), tmp_path / "a.npz")


def test_text_beyond_unicode_is_told(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", a=np.array([0x110000], np.uint32).view("<U1"))
    refusal(lambda: read_npz(tmp_path / "a.npz", "observe"), tmp_path / "a.npz")
