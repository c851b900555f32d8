"""What a network is, in six facts: enough to build it and to name its tensors."""

import math
from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Interval

from edsr_int8.errors import InputError

# Mean of DIV2K, per channel, in 0..1: every EDSR but the `direct` one subtracts it, in grey levels.
DIV2K_MEAN = (0.4488, 0.4371, 0.4040)


@dataclass(frozen=True)
class Description:
    network: str  # edsr | mdsr
    features: int
    blocks: int
    scale: int
    res_scale: float
    upsampler: str  # pixelshuffle | direct | none


@dataclass(frozen=True)
class NetworkRow:
    """What a row of `models` or `training` says of its network: the layout of its file, and the facts."""

    source: Literal["official", "basicsr"]
    network: Literal["edsr", "mdsr"]
    features: Annotated[int, Ge(1)]
    blocks: Annotated[int, Ge(1)]
    scale: Annotated[int, Interval(ge=1, le=4)]  # no Literal: that takes true for 1
    res_scale: Annotated[float, Ge(0)]
    upsampler: Literal["pixelshuffle", "direct", "none"]

    @property
    def description(self) -> Description:
        return Description(
            self.network, self.features, self.blocks, self.scale, self.res_scale, self.upsampler
        )


SCALES = {"pixelshuffle": (2, 3, 4), "direct": (2, 3, 4), "none": (1,)}  # by up-sampler


def scales(description: Description) -> tuple[int, ...]:
    """Those that one checkpoint serves: MDSR has a branch for each, and `scale` says which one is meant."""
    return SCALES["pixelshuffle"] if description.network == "mdsr" else (description.scale,)


def check(description: Description) -> None:
    """Raise InputError, naming the field, its value and what is allowed, where this is no network's."""
    d = description
    _require(d.network in ("edsr", "mdsr"), "network", d.network, "edsr or mdsr")
    _require(d.upsampler in SCALES, "upsampler", d.upsampler, "pixelshuffle, direct or none")
    _require(
        d.scale in SCALES[d.upsampler], "scale", d.scale, f"one of {SCALES[d.upsampler]} with {d.upsampler}"
    )
    _require(d.features >= 1, "features", d.features, "1 or more")
    _require(d.blocks >= 1, "blocks", d.blocks, "1 or more")
    _require(0 < d.res_scale < math.inf, "res_scale", d.res_scale, "a positive number, such as 1.0 or 0.1")
    if d.network == "mdsr":
        _require(d.upsampler == "pixelshuffle", "upsampler", d.upsampler, "pixelshuffle for mdsr")
        _require(d.res_scale == 1, "res_scale", d.res_scale, "1.0 for mdsr, which has none")


def _require(holds: bool, field: str, value: object, allowed: str) -> None:
    if not holds:
        raise InputError(f"{field}: found {value!r}; use {allowed}")
