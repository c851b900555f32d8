"""A row of `downloads` -> a folder that holds the file, or the files of the archive."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from edsr_int8.data.download.row import DownloadRow
from edsr_int8.data.download.transfer import download
from edsr_int8.data.download.unpack import unpack
from edsr_int8.data.download.urls import file_name
from edsr_int8.errors import InputError


def fetch(row: DownloadRow, out: Path, *, partial: Path, mirror: str = "") -> None:
    """Fill the folder `out` with the file, under its name in `row.urls`, or with the files of the archive.

    `partial` is a folder for unfinished work. After a kill it holds what was fetched, or the whole archive,
    and the next call resumes there. It is removed in the end: the archive does not stay beside its files.

    Raises InputError as `download` and `unpack` do.
    """
    name = _name(row.urls)
    whole = partial / name if row.unpack else out / name
    download(
        row.urls,
        whole,
        sha256=row.sha256,
        partial=partial / f"{name}.part",
        mirror=mirror,
        expected_bytes=row.bytes,
    )
    if row.unpack:
        unpack(whole, out, kind=row.unpack)
    shutil.rmtree(partial, ignore_errors=True)


def _name(urls: Sequence[str]) -> str:
    for url in urls:
        if name := file_name(url):
            return name
    raise InputError(f"{urls[0]}: does not end in a file name; write drive:ID/NAME, or list a URL that does")
