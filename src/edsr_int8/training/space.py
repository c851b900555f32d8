"""A full disk, told in one line."""

import contextlib
import errno
import shutil
from collections.abc import Iterator
from pathlib import Path

from edsr_int8.errors import InputError


@contextlib.contextmanager
def full_disk_explained(path: Path) -> Iterator[None]:
    """Around a block that writes `path`: turn "no space" and "quota exceeded" into an InputError."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        free = shutil.disk_usage(path.parent).free >> 20
        raise InputError(f"{path}: the disk is full ({free} MB free); make room and run again") from None
