"""What a network is, in seven facts: enough to build it and to name its tensors."""

import math
from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Interval

from edsr_int8.errors import InputError

RGB = tuple[float, float, float]

DIV2K_MEAN: RGB = (0.4488, 0.4371, 0.4040)  # of each channel, in 0..1
NO_MEAN: RGB = (0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Description:
    network: str  # edsr | mdsr
    features: int
    blocks: int
    scale: int
    res_scale: float
    upsampler: str  # pixelshuffle | direct | none
    rgb_mean: RGB = DIV2K_MEAN  # subtracted from the image and added to the output, in 0..1; not by `direct`


@dataclass(frozen=True)
class NetworkRow:
    """What a row of `models` or `training` says of its network: the layout of its file, and the facts."""

    source: Literal["official", "basicsr"]
    network: Literal["edsr", "mdsr"]
    features: Annotated[int, Interval(ge=1, le=1024)]  # Lim et al. 2017 have 256, and 80 blocks in MDSR
    blocks: Annotated[int, Interval(ge=1, le=512)]
    scale: Annotated[int, Interval(ge=1, le=8)]  # no Literal: that takes true for 1
    res_scale: Annotated[float, Interval(ge=0, le=100)]
    upsampler: Literal["pixelshuffle", "direct", "none"]

    @property
    def description(self) -> Description:
        return Description(
            self.network, self.features, self.blocks, self.scale, self.res_scale, self.upsampler
        )


SCALES = {"pixelshuffle": (2, 3, 4, 8), "direct": (2, 3, 4), "none": (1,)}  # by upsampler
MDSR_SCALES = (2, 3, 4)  # one checkpoint has a branch for each


def scales(description: Description) -> tuple[int, ...]:
    """The scales that one checkpoint holds; of MDSR's three, `description.scale` names the one in use."""
    return MDSR_SCALES if description.network == "mdsr" else (description.scale,)


def check(description: Description) -> None:
    """Raise InputError, naming the field, its value and what is allowed, where no network is like this."""
    d = description
    _require(d.network in ("edsr", "mdsr"), "network", d.network, "edsr or mdsr")
    _require(d.upsampler in SCALES, "upsampler", d.upsampler, "pixelshuffle, direct or none")
    allowed = MDSR_SCALES if d.network == "mdsr" else SCALES[d.upsampler]
    _require(d.scale in allowed, "scale", d.scale, f"one of {allowed} with {d.network} and {d.upsampler}")
    _require(1 <= d.features <= 1024, "features", d.features, "1 to 1024")
    _require(1 <= d.blocks <= 512, "blocks", d.blocks, "1 to 512")
    _require(0 < d.res_scale < math.inf, "res_scale", d.res_scale, "a positive number, such as 1.0 or 0.1")
    if d.network == "mdsr":
        _require(d.upsampler == "pixelshuffle", "upsampler", d.upsampler, "pixelshuffle for mdsr")
        _require(d.res_scale == 1, "res_scale", d.res_scale, "1.0 for mdsr, which has none")


def _require(holds: bool, field: str, value: object, allowed: str) -> None:
    if not holds:
        raise InputError(f"{field}: found {value!r}; use {allowed}")
