"""A row of `downloads` -> a folder that holds the file, or the files of the archive."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from edsr_int8.data.download.sources import file_name
from edsr_int8.data.download.transfer import download
from edsr_int8.data.download.unpack import unpack as unpack_archive
from edsr_int8.errors import InputError


def fetch(
    urls: Sequence[str],
    out: Path,
    *,
    sha256: str,
    unpack: str,
    partial: Path,
    mirror: str = "",
    expected_bytes: int = 0,
) -> None:
    """Fill the folder `out`; `unpack` is zip, tar, or '' to keep the file itself, under its name in `urls`.

    `partial` is a folder for unfinished work. After a kill it holds what was fetched, or the whole archive,
    and a next call goes on from there; it is removed in the end, so that archive and images do not both stay.

    Raises InputError as `download` and `unpack` do.
    """
    name = _name(urls)
    whole = partial / name if unpack else out / name
    download(
        urls,
        whole,
        sha256=sha256,
        partial=partial / f"{name}.part",
        mirror=mirror,
        expected_bytes=expected_bytes,
    )
    if unpack:
        unpack_archive(whole, out, kind=unpack)
    shutil.rmtree(partial, ignore_errors=True)


def _name(urls: Sequence[str]) -> str:
    for url in urls:
        if name := file_name(url):
            return name
    raise InputError(f"{urls[0]}: does not end in a file name; write drive:ID/NAME, or list a URL that does")
