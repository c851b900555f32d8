"""Bring the file of weights that FID's network needs. Without it the run goes on, and the table says why."""

from collections.abc import Sequence
from pathlib import Path

from edsr_int8.errors import InputError
from edsr_int8.files import sha256 as digest_of


def find_weights(weights: Path, urls: Sequence[str], *, sha256: str, partial: Path, mirror: str = "") -> str:
    """'' where the file `weights` is there or could be fetched (see `download`), else why not.

    InputError where a file is there whose digest does not begin with `sha256`: one of the two is wrong, and
    the file is not overwritten.
    """
    if weights.exists():
        if not (found := digest_of(weights)).startswith(sha256):
            raise InputError(
                f"params.yaml: fid: {weights}: sha256 is {found}, expected {sha256}; correct "
                "sha256, or delete the file"
            )
        return ""
    from edsr_int8.data.download.transfer import download  # requests: half a second that few runs need

    try:
        download(urls, weights, sha256=sha256, partial=partial / f"{weights.name}.part", mirror=mirror)
    except InputError as error:
        return str(error)
    return ""
