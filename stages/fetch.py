"""A row of `downloads` -> data/fetched/<row>: the file itself, or the files of its archive."""

from edsr_int8.data.download.fetch import fetch as fetch_file
from edsr_int8.errors import InputError
from edsr_int8.pipeline import layout
from edsr_int8.pipeline.rows import Params, row
from edsr_int8.pipeline.run import run


def fetch(params: Params, name: str) -> None:
    wanted = row(params.downloads, name, "downloads")
    try:
        fetch_file(
            wanted.urls, layout.fetched(name), sha256=wanted.sha256, unpack=wanted.unpack,
            partial=layout.partial("fetch", name), mirror=params.mirror, expected_bytes=wanted.bytes,
        )  # fmt: skip
    except InputError as error:
        raise InputError(f"downloads.{name}: {error}") from None


if __name__ == "__main__":
    run(fetch)
