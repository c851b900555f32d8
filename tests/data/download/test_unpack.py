"""Archives, good and hostile; made by the standard library's own writers, then damaged by hand."""

import io
import random
import stat
import tarfile
import types
import zipfile
from pathlib import Path

import pytest

from edsr_int8.data.download import unpack as module
from edsr_int8.data.download.unpack import unpack
from edsr_int8.errors import InputError

FILES = {f"set/{n:04}.png": random.Random(n).randbytes(1000 + n) for n in range(8)}
FORMATS = {"zip": "", "tar": "w", "tar.gz": "w:gz", "tar.bz2": "w:bz2", "tar.xz": "w:xz"}
OUTSIDE = ["../out.png", "a/../../out.png", "/out.png", "..\\out.png", "C:out.png", "C:/out.png"]


def make_zip(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, body in files.items():
            archive.writestr(zipfile.ZipInfo(name), body, zipfile.ZIP_DEFLATED)
    return path


def make_tar(path: Path, files: dict[str, bytes], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as archive:
        for name, body in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(body)
            archive.addfile(member, io.BytesIO(body))
    return path


def make(folder: Path, kind: str, files: dict[str, bytes] = FILES) -> Path:
    path = folder / f"images.{kind}"
    return make_zip(path, files) if kind == "zip" else make_tar(path, files, FORMATS[kind])


def contents(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def refused(archive: Path, kind: str) -> str:
    """The one line; nothing may be left, inside or outside the folder."""
    out = archive.parent / "inside" / "out"
    with pytest.raises(InputError) as error:
        unpack(archive, out, kind=kind)
    assert list(out.parent.iterdir()) == []
    assert {p.name for p in archive.parent.iterdir()} == {archive.name, "inside"}
    line = str(error.value)
    assert line.startswith(str(archive)) and "\n" not in line
    return line


@pytest.mark.parametrize("kind", FORMATS)
def test_unpacks_names_and_bytes(tmp_path: Path, kind: str) -> None:
    out = tmp_path / "out"
    unpack(make(tmp_path, kind), out, kind=kind[:3])
    assert contents(out) == FILES


def test_replaces_what_was_there(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "old.png").write_bytes(b"")
    unpack(make(tmp_path, "zip"), out, kind="zip")
    assert contents(out) == FILES
    assert sorted(p.name for p in tmp_path.iterdir()) == ["images.zip", "out"]


@pytest.mark.parametrize("kind", ["zip", "tar"])
@pytest.mark.parametrize("name", OUTSIDE)
def test_no_entry_leaves_the_folder(tmp_path: Path, kind: str, name: str) -> None:
    line = refused(make(tmp_path, kind, {"good.png": b"1", name: b"2"}), kind)
    assert f"{name!r}: leads out of the folder" in line


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_no_entry_comes_twice(tmp_path: Path, kind: str) -> None:
    assert "'a//b.png': comes twice" in refused(
        make(tmp_path, kind, {"a/b.png": b"1", "a//b.png": b"2"}), kind
    )


def test_no_links_in_a_zip(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("link.png")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "images.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
    assert "'link.png': is a link or a device" in refused(tmp_path / "images.zip", "zip")


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_no_links_or_devices_in_a_tar(tmp_path: Path, kind: bytes) -> None:
    member = tarfile.TarInfo("link")
    member.type, member.linkname = kind, "/etc/passwd"
    with tarfile.open(tmp_path / "images.tar", "w") as archive:
        archive.addfile(member)
    assert "'link': is a link or a device" in refused(tmp_path / "images.tar", "tar")


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_a_bomb_is_refused(tmp_path: Path, kind: str) -> None:
    archive = make(tmp_path, kind, {"0.png": b"", "1.png": bytes(3_000_000)})
    assert "expands to more than 100 times the archive's own bytes" in refused(archive, kind[:3])


def test_an_encrypted_zip_is_refused(tmp_path: Path) -> None:
    archive = make(tmp_path, "zip", {"secret.png": b"1"})
    body = bytearray(archive.read_bytes())
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):  # APPNOTE 4.3.7 and 4.3.12: the flags
        body[body.index(mark) + offset] |= 1
    archive.write_bytes(body)
    assert "'secret.png': is encrypted" in refused(archive, "zip")


@pytest.mark.parametrize("kind", FORMATS)
def test_a_truncated_archive_is_refused(tmp_path: Path, kind: str) -> None:
    archive = make(tmp_path, kind)
    body = archive.read_bytes()  # 9 blocks: between two of tar's entries
    for length in (0, 1, 700, 9 * 512, len(body) // 3):
        archive.write_bytes(body[:length])
        assert str(archive) in refused(archive, kind[:3])


@pytest.mark.parametrize("kind", FORMATS)
def test_a_damaged_archive_gives_one_line_or_nothing_wrong(tmp_path: Path, kind: str) -> None:
    """Any byte may be damaged: what comes is an InputError, or files inside the folder."""
    archive, out, draw = make(tmp_path, kind), tmp_path / "out", random.Random(1)
    body = archive.read_bytes()
    for _ in range(25):
        damaged = bytearray(body)
        for _ in range(draw.choice([1, 1, 30])):
            damaged[draw.randrange(len(body))] ^= 1 << draw.randrange(8)
        archive.write_bytes(damaged)
        try:
            unpack(archive, out, kind=kind[:3])
        except InputError as error:
            assert "\n" not in str(error)
        assert {p.name for p in tmp_path.iterdir()} <= {archive.name, "out"}


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_a_disk_too_small_is_seen_first(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = make(tmp_path, kind)
    monkeypatch.setattr(module.shutil, "disk_usage", lambda _: types.SimpleNamespace(free=8_000))
    monkeypatch.setattr(module, "_write_entry", lambda *_: pytest.fail("wrote before it looked"))
    assert "do not fit on the disk, which has 8000 free" in refused(archive, kind)


def test_a_disk_full_midway_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def copy(_: object, __: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module.shutil, "copyfileobj", copy)
    assert "'set/0000.png': No space left on device" in refused(make(tmp_path, "zip"), "zip")


def test_a_web_page_is_no_archive(tmp_path: Path) -> None:
    for kind in ("zip", "tar"):
        page = tmp_path / kind / f"images.{kind}"
        page.parent.mkdir()
        page.write_text("<html>Please log in</html>")
        assert "damaged" in refused(page, kind)


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_a_file_where_a_folder_must_be(tmp_path: Path, kind: str) -> None:
    assert "'a/b.png': File exists" in refused(make(tmp_path, kind, {"a": b"1", "a/b.png": b"2"}), kind)


def pax_tar(path: Path, header: bytes) -> Path:
    """A file whose extended header (pax) is `header`."""
    extended = tarfile.TarInfo("pax")
    extended.type, extended.size = tarfile.XHDTYPE, len(header)
    with tarfile.open(path, "w") as archive:
        archive.addfile(extended, io.BytesIO(header))
        archive.addfile(tarfile.TarInfo("a.png"))
    return path


def record(key: str, value: str) -> bytes:
    """Of a pax header: its own length, a key, a value."""
    length = next(n for n in range(200) if len(f"{n} {key}={value}\n") == n)
    return f"{length} {key}={value}\n".encode()


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (record("path", "a\x00b.png"), "is no plain text"),
        (record("path", "a\nb.png"), "is no plain text"),
        (record("path", ""), "no name"),
        (record("path", "d/" * 40 + "a.png"), "more than 32 folders deep"),
        (record("size", "-512"), ""),
        (record("size", "9" * 40), ""),
        (b"99999999999 path=a\n", ""),
    ],
)
def test_a_hostile_pax_header_is_refused(tmp_path: Path, header: bytes, reason: str) -> None:
    assert reason in refused(pax_tar(tmp_path / "images.tar", header), "tar")


def test_thousands_of_long_links_are_refused(tmp_path: Path) -> None:
    """tarfile follows each of them to the next, one call inside the other."""
    link = tarfile.TarInfo("././@LongLink")
    link.type, link.size = tarfile.GNUTYPE_LONGLINK, 4
    with tarfile.open(tmp_path / "images.tar", "w") as archive:
        for _ in range(5000):
            archive.addfile(link, io.BytesIO(b"abc\0"))
    assert "images.tar: " in refused(tmp_path / "images.tar", "tar")


def test_a_long_name_of_many_megabytes_is_refused_unread(tmp_path: Path) -> None:
    name = tarfile.TarInfo("././@LongLink")
    name.type, name.size = tarfile.GNUTYPE_LONGNAME, 2**30
    (tmp_path / "images.tar").write_bytes(name.tobuf(tarfile.GNU_FORMAT) + bytes(4096))
    assert "has a header of" in refused(tmp_path / "images.tar", "tar")


def test_a_tar_file_with_holes_is_refused(tmp_path: Path) -> None:
    member = tarfile.TarInfo("a.png")
    member.type = tarfile.GNUTYPE_SPARSE
    with tarfile.open(tmp_path / "images.tar", "w") as archive:
        archive.addfile(member)
    assert "has holes" in refused(tmp_path / "images.tar", "tar")


def test_an_entry_without_a_name_is_refused(tmp_path: Path) -> None:
    assert "an entry has no name" in refused(make_zip(tmp_path / "images.zip", {"": b"1"}), "zip")


def test_zip_entries_compressed_by_lzma_are_refused(tmp_path: Path) -> None:
    """They ask for any memory, and the standard library gives it."""
    with zipfile.ZipFile(tmp_path / "images.zip", "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("a.png", b"1")
    assert "zip it again, by deflate" in refused(tmp_path / "images.zip", "zip")


def test_too_many_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_ENTRIES", 5)
    assert "holds more than 5 files" in refused(make(tmp_path, "zip"), "zip")


def test_too_many_folders_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that have no entry of their own, too: a name may ask for 31."""
    monkeypatch.setattr(module, "MOST_FOLDERS", 40)
    with zipfile.ZipFile(tmp_path / "images.zip", "w") as archive:
        archive.writestr(f"a/{'a/' * 30}x.png", b"")
        archive.writestr(f"b/{'a/' * 30}x.png", b"")
    assert "holds more than 40 folders" in refused(tmp_path / "images.zip", "zip")


@pytest.mark.parametrize("name", ["empty_name.zip", "nul_pax_path.tar"])
def test_hostile_archives_are_refused(name: str, shared: Path, tmp_path: Path) -> None:
    archive = tmp_path / name
    archive.write_bytes((shared / "cases" / "hostile" / name).read_bytes())
    refused(archive, name[-3:])
