"""The places that a file may come from: http and https, this machine, Google Drive. Each call is one try.

A server may be broken, or hostile: its answer is read chunk by chunk, and none of its numbers is trusted.
"""

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, Queue
from threading import Thread
from urllib.parse import unquote, urljoin, urlsplit

import requests
from urllib3.exceptions import ProtocolError, ReadTimeoutError

from edsr_int8.data.download import drive
from edsr_int8.data.download.urls import scheme

CHUNK_BYTES = 1 << 16
TIMEOUT_S = (10.0, 60.0)  # for the connection; between two chunks
HEAD_S = 120.0  # for all redirects and the head of the answer, which may come byte by byte
MOST_REDIRECTS = 5
TRANSIENT_STATUS = (408, 425, 429, 500, 502, 503, 504)  # RFC 9110, 6585, 8470: a later try may succeed
REDIRECT_STATUS = (301, 302, 303, 307, 308)
FULL_DISK = (errno.ENOSPC, errno.EDQUOT)
SHOWN = 200  # characters of what a server or library says
LENGTH = "[0-9]{1,15}"  # bytes, up to a petabyte


class SourceError(Exception):
    """A source does not give the file; the text says why in a few words."""


class TransientError(SourceError):
    """The source may give the file on a later try."""


@dataclass(frozen=True)
class Stream:
    start: int  # offset of the first byte in the whole file
    total: int | None  # bytes of the whole file, where the source says
    chunks: Iterator[bytes]


@contextmanager
def opened(url: str, start: int) -> Iterator[Stream]:
    """The bytes of an http, https, file or drive URL from offset `start`, or from 0 if the server ignores it.

    Raises SourceError, also while the chunks are read.
    """
    if scheme(url) == "file":
        with _file(url, start) as stream:
            yield stream
    elif scheme(url) in ("http", "https", "drive"):
        response = _from_drive(url, start) if scheme(url) == "drive" else _answer(url, start)
        try:
            yield _stream(response, start)
        finally:
            response.close()
    else:
        raise SourceError("cannot be fetched: http, https, file and drive URLs can")


@contextmanager
def _file(url: str, start: int) -> Iterator[Stream]:
    path = Path(unquote(urlsplit(url).path))
    try:
        if path.exists() and not path.is_file():  # a device gives bytes without end, a pipe waits
            raise SourceError("is no plain file")
        file = path.open("rb")
    except (OSError, ValueError) as error:
        raise SourceError(getattr(error, "strerror", None) or "cannot be read") from None
    with file:
        file.seek(start)
        yield Stream(start, path.stat().st_size, iter(lambda: file.read(CHUNK_BYTES), b""))


def _from_drive(url: str, start: int) -> requests.Response:
    """The answer for `drive:ID` or `drive:ID/NAME`, behind the page that Google shows before large files."""
    first = drive.address(urlsplit(url).path.partition("/")[0])
    response = _answer(first, start)
    if not _is_page(response):
        return response
    with response:
        page = b""
        for chunk in _chunks(response):
            page += chunk
            if len(page) > drive.MOST_BYTES:
                raise SourceError("shows a page without end")
    try:
        behind = drive.behind(page.decode(errors="replace"), first)
    except ValueError as error:
        raise SourceError(str(error)[:SHOWN]) from None
    if scheme(behind) not in ("http", "https"):
        raise SourceError(f"leads to {behind[:SHOWN]!r}, which cannot be fetched")
    response = _answer(behind, start)
    if _is_page(response):
        response.close()
        raise SourceError("shows one page after the other")
    return response


def _is_page(response: requests.Response) -> bool:
    """Whether it is for people: Google names a file in the head of its answer."""
    return response.status_code == 200 and "Content-Disposition" not in response.headers


def _answer(url: str, start: int) -> requests.Response:
    """The head of the answer. In a thread: each byte of it may take as long as a timeout allows."""
    answers: Queue[requests.Response | Exception] = Queue()

    def ask() -> None:
        try:
            answers.put(_asked(url, start))
        except Exception as error:  # malformed hosts and heads lead requests anywhere
            answers.put(error)

    Thread(target=ask, daemon=True).start()
    try:
        found = answers.get(timeout=HEAD_S)
    except Empty:
        raise TransientError("no whole answer in time") from None
    if isinstance(found, Exception):
        raise found if isinstance(found, SourceError) else _in_words(found) from None
    return found


def _asked(url: str, start: int) -> requests.Response:
    """Redirects are followed here: requests would read what comes with one to its end, if it has one."""
    headers = {"Accept-Encoding": "identity"}  # offsets count the file's own bytes
    if start:
        headers["Range"] = f"bytes={start}-"
    for _ in range(MOST_REDIRECTS + 1):
        response = requests.get(url, headers=headers, stream=True, timeout=TIMEOUT_S, allow_redirects=False)
        place = response.headers.get("Location", "")
        if response.status_code not in REDIRECT_STATUS or not place:
            return response
        response.close()
        url = urljoin(url, place)
        if scheme(url) not in ("http", "https"):
            raise SourceError(f"leads to {url[:SHOWN]!r}, which cannot be fetched")
    raise SourceError(f"leads on more than {MOST_REDIRECTS} times")


def _stream(response: requests.Response, start: int) -> Stream:
    status, chunks = response.status_code, _chunks(response)
    if (encoding := response.headers.get("Content-Encoding", "identity")) != "identity":
        raise SourceError(f"answers in the encoding {encoding[:SHOWN]!r}, which nobody asked for")
    first, total = _range(response.headers.get("Content-Range", ""))
    if status == 416 and start:  # nothing after `start`: the part is the whole file, or of another one
        return Stream(start, total, iter(()))
    if status == 206 and first == start:
        return Stream(start, total, chunks)
    if status == 206:
        raise SourceError("sends another range than the one asked for")
    if status == 200:
        length = response.headers.get("Content-Length", "")
        return Stream(0, int(length) if re.fullmatch(LENGTH, length) else None, chunks)
    kind = TransientError if status in TRANSIENT_STATUS else SourceError
    raise kind(f"HTTP {status} {str(response.reason or '')[:SHOWN]}".strip())


def _chunks(response: requests.Response) -> Iterator[bytes]:
    """The body as it comes: to wait for whole chunks would be to wait without end where bytes trickle."""
    while True:
        try:
            chunk = response.raw.read1(CHUNK_BYTES, decode_content=False)
        except Exception as error:
            raise _in_words(error) from None
        if not chunk:
            return
        yield chunk


def _range(header: str) -> tuple[int | None, int | None]:
    """`bytes 5-9/10` -> 5, 10; `bytes */10` -> None, 10 (RFC 9110, section 14.4)."""
    match = re.fullmatch(rf"bytes (?:({LENGTH})-{LENGTH}|\*)/({LENGTH}|\*)", header)
    first, total = match.groups() if match else (None, "*")
    return None if first is None else int(first), None if total == "*" else int(total)


def _in_words(error: Exception) -> SourceError:
    """An exception of requests or of what is below it, often nested, in a few words."""
    if isinstance(error, requests.Timeout | ReadTimeoutError):
        return TransientError("no answer in time")
    if isinstance(error, requests.exceptions.ChunkedEncodingError | ProtocolError):
        return TransientError("the connection broke")
    if not isinstance(error, requests.ConnectionError):
        words = " ".join(str(error).split())[:SHOWN]
        return SourceError(f"no answer that can be read: {words or type(error).__name__}")
    inner = error.args[0] if error.args else error
    cause = getattr(inner, "reason", None) or (getattr(inner, "args", ()) or (inner,))[-1]
    words = " ".join(str(cause).rsplit(": ", 1)[-1].split())[:SHOWN]
    return SourceError(words) if isinstance(error, requests.exceptions.SSLError) else TransientError(words)
