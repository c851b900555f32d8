"""The bytes of a compressed tar file, in bounded memory.

gzip, bz2 and lzma of the standard library would do, but an xz file names the memory that its reader needs, up
to 4 GB, and lzma.open has no limit for it.
"""

import bz2
import lzma
import zlib
from collections.abc import Callable, Iterator
from typing import IO, Any

CHUNK_BYTES = 1 << 20
MOST_DICTIONARY = 2**27  # bytes; xz -9 takes half of that
# First bytes of a file -> a decompressor of one stream; files may hold several, one after the other.
KINDS: dict[bytes, Callable[[], Any]] = {
    b"\x1f\x8b": lambda: zlib.decompressobj(wbits=31),
    b"BZh": bz2.BZ2Decompressor,
    b"\xfd7zXZ\x00": lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=MOST_DICTIONARY),
    b"]\x00\x00": lambda: lzma.LZMADecompressor(lzma.FORMAT_ALONE, memlimit=MOST_DICTIONARY),
}


def decompressor(start: bytes) -> Callable[[], Any] | None:
    """What reads a file that begins with `start`; None where it is not compressed."""
    return next((make for mark, make in KINDS.items() if start.startswith(mark)), None)


def expanded(file: IO[bytes], make: Callable[[], Any]) -> Iterator[bytes]:
    """The bytes of `file`, from its present place, a megabyte at a time.

    EOFError where it is cut short; else as the standard library's decompressors.
    """
    engine, waiting = make(), file.read(CHUNK_BYTES)
    while True:
        made = engine.decompress(waiting, CHUNK_BYTES)
        if made:
            yield made
        if engine.eof:
            waiting = (engine.unused_data or file.read(CHUNK_BYTES)).lstrip(b"\0")
            while not waiting and (more := file.read(CHUNK_BYTES)):
                waiting = more.lstrip(b"\0")  # streams may be padded
            if not waiting:
                return
            engine = make()
            continue
        waiting = getattr(engine, "unconsumed_tail", b"")  # of zlib; the others keep it
        if not waiting and getattr(engine, "needs_input", True):
            waiting = file.read(CHUNK_BYTES)
            if not waiting and not made:
                raise EOFError("it ends too early")
