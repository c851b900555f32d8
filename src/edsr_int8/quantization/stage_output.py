"""Reading what a stage wrote: a file that is missing or damaged is refused in one line."""

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edsr_int8.errors import InputError

# What reading damaged JSON or a damaged .npz raises. RuntimeError: zipfile, on flags that it does not know.
DAMAGED = (
    OSError, ValueError, KeyError, TypeError, AttributeError, EOFError, RuntimeError, zipfile.BadZipFile,
    zlib.error,
)  # fmt: skip


@contextmanager
def reading(path: Path, stage: str) -> Iterator[None]:
    """Turn errors of reading `path`, which `stage` wrote, into an InputError that says what to run."""
    try:
        yield
    except FileNotFoundError as error:
        raise InputError(f"{error.filename}: not found; run the {stage} stage first") from None
    except DAMAGED as error:
        raise InputError(f"{path}: not what {stage} writes ({error}); run it again") from None
