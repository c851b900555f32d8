"""The weights of FID: there, fetched, not to be had, or another file. Only the last stops anything."""

import hashlib
from pathlib import Path

import pytest
from http_server import Served, serving

from edsr_int8.data.download import transfer as download
from edsr_int8.errors import InputError
from edsr_int8.metrics.fid.weights import find_weights

BODY = b"weights" * 1000
SHA256 = hashlib.sha256(BODY).hexdigest()


@pytest.fixture(autouse=True)
def no_proxy_no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(download, "TRIES", 1)


def test_they_are_fetched_once(tmp_path: Path) -> None:
    weights = tmp_path / "fid" / "w.pth"
    with serving({"w.pth": Served(BODY)}) as server:
        for _ in range(2):
            why = find_weights(weights, [server.url("w.pth")], sha256=SHA256[:8], partial=tmp_path / "part")
            assert why == ""
        assert len(server.log) == 1
    assert weights.read_bytes() == BODY


def test_a_mirror_serves_them(tmp_path: Path) -> None:
    (tmp_path / "mirror").mkdir()
    (tmp_path / "mirror" / "w.pth").write_bytes(BODY)
    where = {"partial": tmp_path / "part", "mirror": str(tmp_path / "mirror")}
    assert find_weights(tmp_path / "w.pth", [], sha256=SHA256, **where) == ""


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/w.pth", ""])
def test_a_host_that_is_down_stops_nothing(tmp_path: Path, url: str) -> None:
    urls = [url] if url else []
    why = find_weights(tmp_path / "w.pth", urls, sha256=SHA256, partial=tmp_path / "part")
    assert why.startswith("w.pth: no source gave it") and "\n" not in why


def test_another_file_in_their_place_stops_and_stays(tmp_path: Path) -> None:
    (tmp_path / "w.pth").write_bytes(b"other")
    with pytest.raises(InputError, match=rf"fid: .*w\.pth: sha256 is .*, expected {SHA256}; correct"):
        find_weights(tmp_path / "w.pth", [], sha256=SHA256, partial=tmp_path / "part")
    assert (tmp_path / "w.pth").read_bytes() == b"other"
