"""A row of `downloads`."""

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Interval, MinLen


@dataclass(frozen=True)
class DownloadRow:
    """One file to fetch."""

    urls: Annotated[tuple[str, ...], MinLen(1)]  # tried in turn
    sha256: str  # whole, or its first 8 or more hex digits where a publisher prints those
    unpack: Literal["zip", "tar", ""]  # '': keep the file as it is
    bytes: Annotated[int, Interval(ge=0, le=10**15)] = 0  # 0: unknown
