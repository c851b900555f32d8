"""The places that a file may come from: http and https, this machine, Google Drive. Each call is one try."""

import errno
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

import requests

CHUNK_BYTES = 1 << 16
TIMEOUT_S = (10.0, 60.0)  # for the connection; between two chunks
TRANSIENT_STATUS = (408, 425, 429, 500, 502, 503, 504)  # RFC 9110, 6585, 8470: a later try may succeed
FULL_DISK = (errno.ENOSPC, errno.EDQUOT)


class SourceError(Exception):
    """A source does not give the file; the text says why in a few words."""


class TransientError(SourceError):
    """The source may give the file on a later try."""


@dataclass(frozen=True)
class Stream:
    start: int  # offset of the first byte in the whole file
    total: int | None  # bytes of the whole file, where the source says
    chunks: Iterator[bytes]


def scheme(url: str) -> str:
    return urlsplit(url).scheme


def file_name(url: str) -> str:
    """The last name in a URL's path; '' where there is none, as in `drive:ID` without `/NAME`."""
    path = urlsplit(url).path
    if scheme(url) == "drive":
        path = path.partition("/")[2]
    name = unquote(path).rpartition("/")[2]
    return "" if name in (".", "..") else name


@contextmanager
def opened(url: str, start: int) -> Iterator[Stream]:
    """The bytes of an http, https or file URL from offset `start`, or from 0 if the server ignores it.

    Raises SourceError, also while the chunks are read.
    """
    if scheme(url) == "file":
        with _file(url, start) as stream:
            yield stream
    elif scheme(url) in ("http", "https"):
        with _http(url, start) as stream:
            yield stream
    else:
        raise SourceError("cannot be fetched: http, https, file and drive URLs can")


@contextmanager
def _file(url: str, start: int) -> Iterator[Stream]:
    path = Path(unquote(urlsplit(url).path))
    try:
        file = path.open("rb")
    except OSError as error:
        raise SourceError(error.strerror or "cannot be read") from None
    with file:
        file.seek(start)
        yield Stream(start, path.stat().st_size, iter(lambda: file.read(CHUNK_BYTES), b""))


@contextmanager
def _http(url: str, start: int) -> Iterator[Stream]:
    headers = {"Accept-Encoding": "identity"}  # offsets count the file's own bytes
    if start:
        headers["Range"] = f"bytes={start}-"
    try:
        with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT_S) as response:
            yield _stream(response, start)
    except requests.RequestException as error:
        raise _in_words(error) from None


def _stream(response: requests.Response, start: int) -> Stream:
    status, chunks = response.status_code, response.iter_content(CHUNK_BYTES)
    first, total = _range(response.headers.get("Content-Range", ""))
    if status == 416 and start:  # nothing after `start`: the part is the whole file, or of another one
        return Stream(start, total, iter(()))
    if status == 206 and first == start:
        return Stream(start, total, chunks)
    if status == 206:
        raise SourceError("sends another range than the one asked for")
    if status == 200:
        length = response.headers.get("Content-Length", "")
        return Stream(0, int(length) if length.isdigit() else None, chunks)
    kind = TransientError if status in TRANSIENT_STATUS else SourceError
    raise kind(f"HTTP {status} {response.reason}".strip())


def _range(header: str) -> tuple[int | None, int | None]:
    """`bytes 5-9/10` -> 5, 10; `bytes */10` -> None, 10 (RFC 9110, section 14.4)."""
    match = re.fullmatch(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)", header)
    first, total = match.groups() if match else (None, "*")
    return None if first is None else int(first), None if total == "*" else int(total)


def _in_words(error: requests.RequestException) -> SourceError:
    """An exception of requests, often nested, in a few words."""
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return TransientError("the connection broke")
    if isinstance(error, requests.Timeout):
        return TransientError("no answer in time")
    if not isinstance(error, requests.ConnectionError):
        return SourceError(str(error))
    inner = error.args[0] if error.args else error
    cause = getattr(inner, "reason", None) or (getattr(inner, "args", ()) or (inner,))[-1]
    words = str(cause).rsplit(": ", 1)[-1]
    return SourceError(words) if isinstance(error, requests.exceptions.SSLError) else TransientError(words)


def from_drive(url: str, target: Path) -> None:
    """Fetch `drive:ID` or `drive:ID/NAME` from Google Drive to `target`; gdown resumes by itself."""
    try:
        import gdown
    except ImportError:
        raise SourceError("Google Drive needs gdown: pip install 'edsr-int8[drive]'") from None
    identifier = urlsplit(url).path.partition("/")[0]
    whole = target.with_name(target.name + ".drive")  # gdown keeps its unfinished file beside this one
    try:
        gdown.download(
            id=identifier, output=str(whole), quiet=not sys.stderr.isatty(), use_cookies=False, resume=True
        )
        os.replace(whole, target)
    except requests.RequestException as error:
        raise _in_words(error) from None
    except Exception as error:  # gdown's exceptions differ between its versions
        if isinstance(error, OSError) and error.errno in FULL_DISK:
            raise
        raise SourceError(" ".join(str(error).split())[:200]) from None
