"""A row of `downloads` -> data/fetched/<row>: the file itself, or the files of its archive."""

from edsr_int8.data.download.fetch import fetch as fetch_file
from edsr_int8.errors import InputError
from edsr_int8.pipeline import layout
from edsr_int8.pipeline.rows import Params, row
from edsr_int8.pipeline.run import run


def fetch(params: Params, name: str) -> None:
    download = row(params.downloads, name, "downloads")
    partial = layout.partial("fetch", name)
    try:
        fetch_file(download, layout.fetched(name), partial=partial, mirror=params.mirror)
    except InputError as error:
        raise InputError(f"downloads.{name}: {error}") from None


if __name__ == "__main__":
    run(fetch)
