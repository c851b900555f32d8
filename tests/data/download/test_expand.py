"""Compressed files expand to what the standard library gives, in memory that does not follow the file."""

import bz2
import gzip
import io
import lzma
import random
import zlib
from collections.abc import Callable

import pytest

from edsr_int8.data.download import expand
from edsr_int8.data.download.expand import decompressor, expanded

BODY = random.Random(0).randbytes(50_000) + bytes(3_000_000)
KINDS: dict[str, tuple[Callable[[bytes], bytes], Callable[[bytes], bytes]]] = {
    "gz": (gzip.compress, gzip.decompress),
    "bz2": (bz2.compress, bz2.decompress),
    "xz": (lzma.compress, lzma.decompress),
    "lzma": (lambda body: lzma.compress(body, lzma.FORMAT_ALONE), lzma.decompress),
}


def expand_all(content: bytes) -> bytes:
    make = decompressor(content[:8])
    assert make
    return b"".join(expanded(io.BytesIO(content), make))


@pytest.mark.parametrize("kind", KINDS)
def test_as_the_standard_library(kind: str) -> None:
    compress, decompress = KINDS[kind]
    content = compress(BODY)
    assert expand_all(content) == decompress(content) == BODY


@pytest.mark.parametrize("kind", ["gz", "bz2", "xz"])
def test_several_streams_follow_each_other(kind: str) -> None:
    compress, _ = KINDS[kind]
    padding = b"" if kind == "bz2" else bytes(8)
    assert expand_all(compress(BODY) + padding + compress(b"more") + padding) == BODY + b"more"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_file_cut_short_is_none(kind: str, share: float) -> None:
    content = KINDS[kind][0](BODY)
    with pytest.raises(EOFError):
        expand_all(content[: int(share * len(content))])


def test_no_piece_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expand, "CHUNK_BYTES", 1000)
    for compress, _ in KINDS.values():
        content = compress(BODY)
        make = decompressor(content[:8])
        assert make and max(len(piece) for piece in expanded(io.BytesIO(content), make)) <= 1000


def test_a_dictionary_of_a_gigabyte_is_refused() -> None:
    content = lzma.compress(b"x")
    length = (content[12] + 1) * 4  # of the first block's header, behind the stream's 12 bytes
    header = bytearray(content[12 : 12 + length - 4])
    header[4] = 36  # the code of 1 GiB (.xz format, section 5.3.1)
    check = zlib.crc32(header).to_bytes(4, "little")
    with pytest.raises(lzma.LZMAError, match=r"[Mm]emory"):
        expand_all(content[:12] + header + check + content[12 + length :])
