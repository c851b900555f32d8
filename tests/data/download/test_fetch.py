"""A row of downloads from server to folder, and on after a kill at any point."""

import hashlib
import io
import zipfile
from pathlib import Path

import pytest
from http_server import Served, serving

from edsr_int8.data.download import fetch as module
from edsr_int8.data.download.fetch import fetch
from edsr_int8.data.download.row import DownloadRow
from edsr_int8.errors import InputError

WEIGHTS = b"weights" * 1000


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def zipped(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, body in files.items():
            archive.writestr(name, body)
    return stream.getvalue()


IMAGES = zipped({"HR/0801.png": b"hr", "LR/0801x2.png": b"lr"})


def sha256(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def files(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def test_a_single_file_keeps_its_name(tmp_path: Path) -> None:
    with serving({"models/edsr-1bc95232.pt": Served(WEIGHTS)}) as server:
        urls = (server.url("models/edsr-1bc95232.pt?download=1"),)
        row = DownloadRow(urls, sha256(WEIGHTS)[:8], unpack="")
        fetch(row, tmp_path / "out", partial=tmp_path / "part")
    assert files(tmp_path) == ["out/edsr-1bc95232.pt"]


def test_an_archive_is_unpacked_and_not_kept(tmp_path: Path) -> None:
    with serving({"DIV2K.zip": Served(IMAGES)}) as server:
        row = DownloadRow((server.url("DIV2K.zip"),), sha256(IMAGES), unpack="zip")
        fetch(row, tmp_path / "out", partial=tmp_path / "part")
    assert files(tmp_path) == ["out/HR/0801.png", "out/LR/0801x2.png"]


def test_an_archive_that_a_killed_run_left_is_not_fetched_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with serving({"DIV2K.zip": Served(IMAGES)}) as server:
        row = DownloadRow((server.url("DIV2K.zip"),), sha256(IMAGES), unpack="zip")
        with monkeypatch.context() as patch:
            patch.setattr(module, "unpack", killed)
            with pytest.raises(KeyboardInterrupt):
                fetch(row, tmp_path / "out", partial=tmp_path / "part")
        assert files(tmp_path) == ["part/DIV2K.zip"]
        fetch(row, tmp_path / "out", partial=tmp_path / "part")
        assert server.sent_bytes == len(IMAGES)
    assert files(tmp_path) == ["out/HR/0801.png", "out/LR/0801x2.png"]


def test_an_archive_that_does_not_unpack_stays_and_is_named(tmp_path: Path) -> None:
    slip = zipped({"../0801.png": b"hr"})
    with (
        serving({"DIV2K.zip": Served(slip)}) as server,
        pytest.raises(InputError, match=r"part/DIV2K.zip: '../0801.png': leads out of the folder"),
    ):
        row = DownloadRow((server.url("DIV2K.zip"),), sha256(slip), unpack="zip")
        fetch(row, tmp_path / "out", partial=tmp_path / "part")
    assert files(tmp_path) == ["part/DIV2K.zip"]


@pytest.mark.parametrize(
    ("urls", "name"),
    [
        (("https://host/a%20b.zip?x=/c.zip",), "a b.zip"),
        (("drive:ID/weights.pth",), "weights.pth"),
        (("drive:ID", "https://host/folder/weights.pth"), "weights.pth"),
        (("https://host/%2e%2e%2fweights.pth",), "weights.pth"),
    ],
)
def test_a_file_is_named_by_the_first_address_that_has_a_name(
    tmp_path: Path, urls: tuple[str, ...], name: str
) -> None:
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    (mirror / name).write_bytes(WEIGHTS)
    out = tmp_path / "out"
    fetch(DownloadRow(urls, sha256(WEIGHTS), ""), out, partial=tmp_path / "part", mirror=str(mirror))
    assert files(out) == [name]


def test_an_address_without_a_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="drive:ID: does not end in a file name; write drive:ID/NAME"):
        fetch(DownloadRow(("drive:ID",), sha256(WEIGHTS), ""), tmp_path / "out", partial=tmp_path / "part")
