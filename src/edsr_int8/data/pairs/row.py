"""A row of `datasets`."""

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Interval


@dataclass(frozen=True)
class DatasetRow:
    """Pairs of a degraded image and its reference, found by patterns inside `path`."""

    task: Literal["sr", "deblur"]
    scale: Annotated[int, Interval(ge=1, le=8)]
    path: str
    hr: str  # '': degraded images only, for calibration
    lr: str  # '': made from hr, by bicubic reduction (sr) or a seeded camera shake (deblur)
    limit: Annotated[int, Interval(ge=0, le=10_000_000)] = 0  # the first N pairs; 0: all
    seed: Annotated[int, Interval(ge=0, le=2**32 - 1)] = 0  # of the camera shake
    crop: Annotated[int, Interval(ge=0, le=32_768)] = 0  # side of the centre of each reference; 0: the whole
    copies: Annotated[int, Interval(ge=1, le=1000)] = 1  # camera shakes per photograph
