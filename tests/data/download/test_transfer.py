"""Downloads against a server that fails; the outside authority is the hash of what it serves."""

import errno
import gzip
import hashlib
import io
import itertools
import os
import random
import re
import signal
import subprocess
import sys
import threading
import types
from collections.abc import Iterator
from pathlib import Path

import pytest
from http_server import Served, Server, serving

from edsr_int8.data.download import drive
from edsr_int8.data.download import transfer as module
from edsr_int8.data.download.pace import Pace
from edsr_int8.data.download.transfer import download
from edsr_int8.errors import InputError

BODY = random.Random(0).randbytes(1_000_000)
SHA256 = hashlib.sha256(BODY).hexdigest()
OTHER = hashlib.sha256(b"other").hexdigest()
HALF = len(BODY) // 2


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


class Here:
    """A destination, a partial file, and the pauses that a download made."""

    def __init__(self, folder: Path) -> None:
        self.destination, self.partial = folder / "out" / "a.zip", folder / "partial" / "a.zip.part"
        self.pauses: list[float] = []

    def begin(self, body: bytes) -> None:
        self.partial.parent.mkdir(exist_ok=True)
        self.partial.write_bytes(body)

    def fetch(self, *urls: str, sha256: str = SHA256, mirror: str = "", expected_bytes: int = 0) -> None:
        download(
            urls,
            self.destination,
            sha256=sha256,
            partial=self.partial,
            mirror=mirror,
            expected_bytes=expected_bytes,
            sleep=self.pauses.append,
        )


@pytest.fixture
def here(tmp_path: Path) -> Here:
    return Here(tmp_path)


@pytest.mark.parametrize("sha256", [SHA256, SHA256[:8]], ids=["whole", "prefix"])
def test_brings_a_file_and_leaves_no_part(here: Here, sha256: str) -> None:
    with serving({"a.zip": Served(BODY)}) as server:
        here.fetch(server.url("a.zip"), sha256=sha256, expected_bytes=len(BODY))
    assert here.destination.read_bytes() == BODY
    assert not here.partial.exists()


def test_a_connection_cut_midway_goes_on_where_it_was(here: Here) -> None:
    with serving({"a.zip": Served(BODY, cuts=[HALF])}) as server:
        here.fetch(server.url("a.zip"))
        assert [status for _, status, _ in server.log] == [200, 206]
        assert server.sent_bytes < len(BODY) + module.sources.CHUNK_BYTES  # at most the piece in flight again
    assert here.destination.read_bytes() == BODY
    assert here.pauses == [1.0]


def test_a_line_that_breaks_often_but_moves_is_not_given_up(here: Here) -> None:
    with serving({"a.zip": Served(BODY, cuts=[100_000] * 8)}) as server:
        here.fetch(server.url("a.zip"))
    assert here.pauses == [1.0] * 8
    assert here.destination.read_bytes() == BODY


def test_an_answer_that_ends_early_without_a_stated_length_goes_on(here: Here) -> None:
    here.begin(BODY[:HALF])
    with serving({"a.zip": Served(BODY, cuts=[1000], says_length=False)}) as server:
        here.fetch(server.url("a.zip"))
        assert [asked for _, _, asked in server.log] == [f"bytes={HALF}-", f"bytes={HALF + 1000}-"]
    assert here.destination.read_bytes() == BODY


def test_a_killed_process_leaves_a_part_that_the_next_run_completes(here: Here) -> None:
    script = """
import os, signal, sys
from pathlib import Path
from edsr_int8.data.download import transfer as download
class Killer:
    def __init__(self, *_, **__): self.done = 0
    def __enter__(self): return self
    def __exit__(self, *_): pass
    def update(self, n):
        self.done += n
        if self.done > 500_000: os.kill(os.getpid(), signal.SIGKILL)
download.byte_bar = Killer
url, destination, partial, sha256 = sys.argv[1:]
download.download([url], Path(destination), sha256=sha256, partial=Path(partial))
"""
    with serving({"a.zip": Served(BODY)}) as server:
        arguments = [server.url("a.zip"), str(here.destination), str(here.partial), SHA256]
        killed = subprocess.run([sys.executable, "-c", script, *arguments], timeout=60, check=False)
        assert killed.returncode == -signal.SIGKILL
        assert not here.destination.exists()
        kept = here.partial.stat().st_size
        assert kept > 400_000
        before = server.sent_bytes
        here.fetch(server.url("a.zip"))
        assert server.sent_bytes - before == len(BODY) - kept
    assert here.destination.read_bytes() == BODY


def test_a_server_that_ignores_range_starts_again_cleanly(here: Here) -> None:
    here.begin(BODY[:HALF])
    with serving({"a.zip": Served(BODY, ranges=False)}) as server:
        here.fetch(server.url("a.zip"))
        assert server.log == [("/a.zip", 200, f"bytes={HALF}-")]
    assert here.destination.read_bytes() == BODY


def test_a_part_of_another_file_is_thrown_away(here: Here) -> None:
    here.begin(b"?" * HALF)
    with serving({"a.zip": Served(BODY)}) as server:
        here.fetch(server.url("a.zip"))
        assert [status for _, status, _ in server.log] == [206, 200]
    assert here.destination.read_bytes() == BODY


def test_a_part_longer_than_the_file_is_thrown_away(here: Here) -> None:
    here.begin(BODY + b"?")
    with serving({"a.zip": Served(BODY)}) as server:
        here.fetch(server.url("a.zip"))
        assert [status for _, status, _ in server.log] == [416, 200]
    assert here.destination.read_bytes() == BODY


def test_what_is_good_is_not_fetched_again(here: Here) -> None:
    here.begin(BODY)  # a run killed before the rename, or a file put by hand
    here.fetch("http://127.0.0.1:1/a.zip")
    here.fetch("http://127.0.0.1:1/a.zip")
    assert here.destination.read_bytes() == BODY


def test_a_wrong_hash_is_refused_and_its_correction_fetches_nothing(here: Here) -> None:
    with serving({"a.zip": Served(BODY)}) as server:
        with pytest.raises(InputError) as refused:
            here.fetch(server.url("a.zip"), sha256=OTHER)
        assert not here.destination.exists()
        sent = server.sent_bytes
        here.fetch(server.url("a.zip"))
        assert server.sent_bytes == sent
    line = str(refused.value)
    assert line.startswith("a.zip: ") and SHA256 in line and OTHER in line and "\n" not in line
    assert here.destination.read_bytes() == BODY


def test_a_wrong_file_in_one_place_does_not_hide_the_right_one_in_the_next(here: Here) -> None:
    with serving({"bad/a.zip": Served(b"<html>" * 99), "good/a.zip": Served(BODY)}) as server:
        here.fetch(server.url("bad/a.zip"), server.url("good/a.zip"))
    assert here.destination.read_bytes() == BODY


def test_a_file_of_another_length_is_refused_before_it_is_fetched(here: Here) -> None:
    here.begin(BODY[:HALF])
    with (
        serving({"a.zip": Served(b"<html>", ranges=False)}) as server,
        pytest.raises(InputError, match="has 6 bytes, expected 1000000"),
    ):
        here.fetch(server.url("a.zip"), expected_bytes=len(BODY))
    assert here.partial.read_bytes() == BODY[:HALF]  # a log-in page does not cost what was fetched


def test_a_truncated_file_without_a_stated_length_is_refused(here: Here) -> None:
    with (
        serving({"a.zip": Served(BODY, cuts=[HALF], says_length=False)}) as server,
        pytest.raises(InputError, match=f"sha256 of its {HALF} bytes is [0-9a-f]{{64}}, expected {SHA256}"),
    ):
        here.fetch(server.url("a.zip"))


def test_a_busy_server_is_asked_again_after_longer_pauses(here: Here) -> None:
    with serving({"a.zip": Served(BODY, statuses=[503, 429, 500])}) as server:
        here.fetch(server.url("a.zip"))
    assert here.pauses == [1.0, 2.0, 4.0]
    assert here.destination.read_bytes() == BODY


def test_missing_everywhere_says_what_each_source_said_and_what_to_do(here: Here) -> None:
    files = {"busy/a.zip": Served(BODY, statuses=[503] * 4), "mute/a.zip": Served(BODY, statuses=[0] * 4)}
    with (
        serving(files) as server,
        pytest.raises(InputError) as refused,
    ):
        here.fetch(
            server.url("a.zip"),
            server.url("busy/a.zip"),
            server.url("mute/a.zip"),
            "http://127.0.0.1:1/a.zip",
            "ftp://127.0.0.1/a.zip",
            "file:///nowhere/a.zip",
        )
    line = str(refused.value)
    for part in (
        "/a.zip: HTTP 404 Not Found;",
        "/busy/a.zip: HTTP 503 Service Unavailable;",
        "/mute/a.zip: Remote end closed connection without response;",
        "Connection refused;",
        "ftp://127.0.0.1/a.zip: cannot be fetched: http, https, file and drive URLs can;",
        "file:///nowhere/a.zip: No such file or directory;",
        f"put the file by hand at {here.partial}",
    ):
        assert part in line
    assert "\n" not in line


def test_404_then_the_next_address(here: Here) -> None:
    with serving({"b/a.zip": Served(BODY)}) as server:
        here.fetch(server.url("a.zip"), server.url("b/a.zip"))
        assert [status for _, status, _ in server.log] == [404, 200]
    assert here.pauses == []


@pytest.mark.parametrize("name", ["a.zip", SHA256])
def test_a_mirror_folder_serves_by_name_or_hash_without_network(
    here: Here, tmp_path: Path, name: str
) -> None:
    mirror = tmp_path / "the mirror"
    mirror.mkdir()
    (mirror / name).write_bytes(BODY)
    here.fetch("http://127.0.0.1:1/a.zip", mirror=str(mirror))
    assert here.destination.read_bytes() == BODY
    assert (mirror / name).read_bytes() == BODY


def test_a_mirror_folder_continues_a_part(here: Here, tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"?" * HALF + BODY[HALF:])  # the first half must not be read again
    here.begin(BODY[:HALF])
    here.fetch(mirror=str(tmp_path))
    assert here.destination.read_bytes() == BODY


def test_another_range_than_asked_for_is_refused(here: Here) -> None:
    here.begin(BODY[:HALF])
    with (
        serving({"a.zip": Served(BODY, range_start=0)}) as server,
        pytest.raises(InputError, match=r"a\.zip: sends another range than the one asked for;"),
    ):
        here.fetch(server.url("a.zip"))
    assert here.partial.read_bytes() == BODY[:HALF]


def test_a_mirror_address_is_asked_first(here: Here) -> None:
    with serving({f"mirror/{SHA256}": Served(BODY), "a.zip": Served(BODY)}) as server:
        here.fetch(server.url("a.zip"), mirror=server.url("mirror/"))
        assert [path for path, _, _ in server.log] == ["/mirror/a.zip", f"/mirror/{SHA256}"]


def test_an_empty_mirror_is_named_as_the_place_for_the_file(here: Here, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"put the file by hand at {tmp_path}/mirror/a.zip"):
        here.fetch("http://127.0.0.1:1/a.zip", mirror=str(tmp_path / "mirror"))


def test_a_disk_too_small_is_seen_before_fetching(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.shutil, "disk_usage", lambda _: types.SimpleNamespace(free=HALF - 1))
    here.begin(BODY[:HALF])
    with (
        serving({"a.zip": Served(BODY)}) as server,
        pytest.raises(
            InputError, match=f"{HALF} more bytes do not fit on the disk, which has {HALF - 1} free"
        ),
    ):
        here.fetch(server.url("a.zip"))
    assert here.partial.stat().st_size == HALF


def test_a_disk_full_midway_keeps_the_part(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        def __init__(self, *_: object, **__: object) -> None: ...
        def __enter__(self) -> "Full":
            return self

        def __exit__(self, *_: object) -> None: ...
        def update(self, _: int) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with serving({"a.zip": Served(BODY)}) as server:
        with monkeypatch.context() as patch:
            patch.setattr(module, "byte_bar", Full)
            with pytest.raises(InputError, match=r"the disk is full after \d+ bytes; free some space"):
                here.fetch(server.url("a.zip"))
        kept = here.partial.stat().st_size
        here.fetch(server.url("a.zip"))
        assert kept and server.log[-1] == ("/a.zip", 206, f"bytes={kept}-")
    assert here.destination.read_bytes() == BODY


def test_build_and_data_may_lie_on_two_disks(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    def replace(source: Path, target: Path) -> None:
        if source == here.partial:
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        source.rename(target)

    monkeypatch.setattr(os, "replace", replace)
    here.begin(BODY)
    here.fetch("http://127.0.0.1:1/a.zip")
    assert here.destination.read_bytes() == BODY
    assert not here.partial.exists()


PAGE = b"""<html><body><p class="uc-warning-caption">Google Drive can't scan this file for viruses.</p>
<form id="download-form" action="%s" method="get"><input type="submit" value="Download anyway"/>
<input type="hidden" name="id" value="ID"><input type="hidden" name="confirm" value="t&amp;u"></form>"""


@pytest.fixture
def google(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """In place of Google Drive: `ask` is what it shows first, `file` what lies behind the page's button."""
    with serving({"ask": Served(BODY, attachment=True), "file": Served(BODY, attachment=True)}) as server:
        monkeypatch.setattr(drive, "ADDRESS", server.url("ask?id="))
        yield server


def test_google_drive_gives_small_files_at_once(here: Here, google: Server) -> None:
    here.fetch("drive:ID/a.zip")
    assert here.destination.read_bytes() == BODY
    assert [path for path, *_ in google.log] == ["/ask?id=ID"]


def test_google_drive_gives_large_files_behind_a_page_and_a_part_goes_on(here: Here, google: Server) -> None:
    google.files["ask"] = Served(PAGE % google.url("file").encode(), ranges=False)
    here.begin(BODY[:HALF])
    here.fetch("drive:ID/a.zip")
    assert here.destination.read_bytes() == BODY
    assert google.log[-1] == ("/file?id=ID&confirm=t%26u", 206, f"bytes={HALF}-")


@pytest.mark.parametrize("known", [len(BODY), 0], ids=["of the row", "of the server"])
def test_google_drive_gives_no_more_bytes_than_are_known(here: Here, google: Server, known: int) -> None:
    google.files["ask"] = Served(PAGE % google.url("file").encode())
    length = b"" if known else b"Content-Length: 1000000\r\n"
    head = b"HTTP/1.0 200 OK\r\nContent-Disposition: attachment\r\n" + length + b"\r\n"
    google.files["file"] = Served(b"", raw=head + BODY + b"more" * 10_000)
    if known:
        with pytest.raises(InputError, match=r"drive:ID/a\.zip: gives more than 1000000 bytes"):
            here.fetch("drive:ID/a.zip", expected_bytes=known)
        assert not here.partial.exists() or not here.partial.stat().st_size
    else:
        here.fetch("drive:ID/a.zip")  # what comes after the length is not read
        assert here.destination.read_bytes() == BODY


def test_google_drive_must_not_be_too_slow(
    here: Here, google: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    minutes = itertools.count(step=60.0)
    monkeypatch.setattr(module, "Pace", lambda: Pace(lambda: next(minutes)))
    google.files["ask"] = Served(BODY[:5000], attachment=True)
    with pytest.raises(InputError, match=r"drive:ID/a\.zip: gives less than 1000 bytes a second"):
        here.fetch("drive:ID/a.zip")


@pytest.mark.parametrize(
    ("page", "said"),
    [
        (b'<p class="uc-error-subcaption">Too many users have <b>viewed</b> it.\n Try later</p><p>x</p>',
         "Too many users have viewed it. Try later;"),
        (b"<html>Sign in</html>",
         "shows a page and not the file; is it shared with anyone who has the link; put"),
        (b'<form id="download-form" action="file:///etc/passwd">', "leads to 'file:///etc/passwd[?]', which"),
        (b'<form id="download-form" action="ask">', "shows one page after the other;"),
        (b"<p>" * 400_000, "shows a page without end;"),
        (b"\xff<form <form id=download-form", "shows a page and not the file"),
    ],
)  # fmt: skip
def test_what_google_drive_shows_in_place_of_a_file_is_told_in_one_line(
    here: Here, google: Server, page: bytes, said: str
) -> None:
    google.files["ask"] = Served(page)
    with pytest.raises(InputError, match=rf"drive:ID/a\.zip: {said}") as refused:
        here.fetch("drive:ID/a.zip")
    assert "\n" not in str(refused.value)


def test_a_terminal_sees_rate_and_remaining_time(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    monkeypatch.setattr(screen, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys, "stderr", screen)
    here.begin(BODY[:HALF])
    with serving({"a.zip": Served(BODY)}) as server:
        here.fetch(server.url("a.zip"))
    assert re.search(r"fetch a.zip.part: +50%.* 500k/1.00M \[00:00<\?, \?B/s\]", screen.getvalue())


def test_an_empty_hash_accepts_nothing(here: Here) -> None:
    with pytest.raises(ValueError, match="8 to 64"):
        here.fetch("http://127.0.0.1:1/a.zip", sha256="")


def answer(body: bytes, *head: str, status: str = "200 OK") -> Served:
    """A whole answer, word by word."""
    return Served(b"", raw="\r\n".join([f"HTTP/1.1 {status}", *head, "", ""]).encode("latin-1") + body)


def refusal(here: Here, *files: Served, expected_bytes: int = 0) -> str:
    """What a download says that fails: one line, and no file."""
    served = {f"{number}.zip": file for number, file in enumerate(files)}
    with serving(served) as server, pytest.raises(InputError) as caught:
        here.fetch(*(server.url(name) for name in served), expected_bytes=expected_bytes)
    assert not here.destination.exists()
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 2000
    return str(caught.value)


def test_more_bytes_than_the_row_states_are_not_kept(here: Here) -> None:
    text = refusal(here, Served(BODY + b"?" * 200_000, says_length=False), expected_bytes=len(BODY))
    assert f"gives more than {len(BODY)} bytes" in text
    assert here.partial.stat().st_size == 0


def test_without_any_length_there_is_a_limit(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_UNKNOWN_BYTES", 500_000)
    text = refusal(here, Served(BODY, says_length=False))
    assert "gives more than 500000 bytes" in text and "state bytes in the row" in text


def test_without_any_length_the_disk_is_not_filled(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.shutil, "disk_usage", lambda _: types.SimpleNamespace(free=2**28))
    assert "do not fit on the disk" in refusal(here, Served(BODY, says_length=False))


def test_what_is_compressed_unasked_is_refused(here: Here) -> None:
    body = gzip.compress(bytes(10_000_000))
    for encoding in ("gzip", "br", "identity, gzip"):
        head = (f"Content-Encoding: {encoding}", f"Content-Length: {len(body)}")
        assert "which nobody asked for" in refusal(here, answer(body, *head))


def test_bytes_that_trickle_are_not_waited_for(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock of this test runs a minute for each piece: the line is far below the slowest rate."""
    times = (60.0 * n for n in itertools.count())
    monkeypatch.setattr(module, "Pace", lambda: Pace(lambda: next(times)))
    assert "gives less than 1000 bytes a second" in refusal(here, Served(BODY[:50], says_length=False))


def test_a_line_that_always_breaks_and_hardly_moves_is_given_up(
    here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = (20.0 * n for n in itertools.count())
    monkeypatch.setattr(module, "Pace", lambda: Pace(lambda: next(times)))
    assert "gives less than 1000 bytes a second" in refusal(here, Served(BODY, cuts=[1] * 99))


def test_a_head_that_never_ends_is_not_waited_for(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.sources, "HEAD_S", 0.05)
    monkeypatch.setattr(module.sources, "_asked", lambda *_: threading.Event().wait(5))
    assert "no whole answer in time" in refusal(here, Served(BODY))


@pytest.mark.parametrize(
    "place",
    ["http://[::1", "http://", "http://a..b/", "http://:99999/", "file:///etc/passwd", "ftp://x/", "http://\xff",
     "https://" + "a" * 300 + "/", "http://127.0.0.1:1/", "//", "gopher:", "http://xn--/", "http://%00/"],
)  # fmt: skip
def test_redirects_to_nowhere_end_in_one_line(here: Here, place: str) -> None:
    refusal(here, answer(b"", f"Location: {place}", "Content-Length: 0", status="302 Found"))


def test_redirects_in_a_circle_and_endless_bodies_of_them_end(here: Here) -> None:
    text = refusal(here, answer(bytes(3_000_000), "Location: /0.zip", status="301 Moved"))
    assert "leads on more than 5 times" in text


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"\0" * 99, b"HTTP/1.1\r\n\r\n", b"HTTP/9.9 abc OK\r\n\r\n", b"HTTP/1.1 99999 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nab", b"HTTP/1.1 200 " + b"x" * 70_000,
        b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 400 + b"\r\n\r\n" + BODY[:9],
        b"HTTP/1.1 200 OK\r\nContent-Length: \xb2\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"f" * 300 + b"\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\nabc\r\n0\r\n\r\n",
        b"HTTP/1.1 206 Partial\r\nContent-Range: bytes " + b"9" * 400 + b"-1/*\r\n\r\n",
        b"HTTP/1.1 404 \x1b[2J\x07gone\r\n\r\n", b"HTTP/1.1 503 " + b"busy " * 9000 + b"\r\n\r\n",
    ],
)  # fmt: skip
def test_malformed_answers_end_in_one_line(here: Here, raw: bytes) -> None:
    refusal(here, Served(b"", raw=raw))


def test_devices_and_pipes_are_no_files(here: Here, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.zip")
    for path in ("/dev/zero", tmp_path / "pipe.zip", tmp_path):
        with pytest.raises(InputError, match="is no plain file"):
            here.fetch(f"file://{path}")
