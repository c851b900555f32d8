"""Which convention and res_scale a network was trained with: no tensor says, so candidates are tried.

A picture of one grey must come out as the same grey, up to its border, where padding by zeros shows the mean.
That holds whatever the network undoes, be it shrinking or blur. On 16 networks of known training the right
candidate was off by 0.05 to 0.45 grey levels, and the next best by at least 1.38 times as much.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import torch
from skimage.data import astronaut
from torch import Tensor

from edsr_int8.checkpoints.convention import Convention, on_grey_levels
from edsr_int8.models.build import build
from edsr_int8.models.description import NO_MEAN, Description

GREYS = (16, 64, 128, 192, 240)
COARSE, FINE = 8, 24  # height and width of the pictures
KEPT = 4  # times the least error on coarse pictures: what is further off is not tried on fine ones
CLEARLY = 1.2  # times as far off is clearly worse
PICTURE = 16.0  # grey levels: what is further off gives no picture at all, as random weights do
CROP = (slice(0, 256, 8), slice(128, 384, 8))  # of scikit-image's astronaut: coarse, for many colours


@dataclass(frozen=True)
class Candidate:
    convention: Convention
    res_scale: float

    def __str__(self) -> str:
        return f"{self.convention}, res_scale: {self.res_scale:g}"


class Bench:
    """One network, run as if it was trained with this or that candidate."""

    def __init__(self, state: Mapping[str, Tensor], description: Description) -> None:
        """`state` has our names and the values of the file."""
        self.state = state
        self.outputs: dict[Candidate, Tensor] = {}  # for the photograph
        # `run` puts mean and res_scale in from outside: to build a module for each candidate takes longer.
        with torch.device("meta"):  # without weights
            self.module = build(replace(description, rgb_mean=NO_MEAN, res_scale=1.0)).eval()

    def run(self, candidate: Candidate, image: Tensor) -> Tensor:
        """NCHW RGB 0..255 -> the output, not clipped."""
        state = on_grey_levels(self.state, candidate.convention.img_range)
        for name in state:
            if name.startswith("body.") and ".conv2." in name:
                state[name] = state[name] * candidate.res_scale
        self.module.load_state_dict(state, assign=True)
        mean = 255 * torch.tensor(candidate.convention.rgb_mean).view(1, 3, 1, 1)
        with torch.inference_mode():
            output: Tensor = self.module(image - mean) + mean
        return output

    def grey_error(self, candidate: Candidate, side: int) -> float:
        """How far pictures of one grey come out from that grey: the mean over all pixels, in grey levels."""
        greys = torch.tensor(GREYS, dtype=torch.float32).view(-1, 1, 1, 1)
        error = (self.run(candidate, greys.expand(-1, 3, side, side)) - greys).abs().mean()
        return float(error.nan_to_num(math.inf))

    def difference(self, one: Candidate, other: Candidate) -> float:
        """The largest difference between two candidates' outputs for a photograph, in grey levels."""
        for candidate in {one, other} - self.outputs.keys():
            self.outputs[candidate] = self.run(candidate, photograph()).clamp(0, 255)
        return float((self.outputs[one] - self.outputs[other]).abs().max().nan_to_num(math.inf))


def grey_errors(bench: Bench, candidates: Sequence[Candidate]) -> dict[Candidate, float]:
    """The error of each, in grey levels: on coarse pictures, and of those that may be best on fine ones."""
    errors = {candidate: bench.grey_error(candidate, COARSE) for candidate in candidates}
    least = min(errors.values())
    if least > PICTURE:
        return errors
    kept = [candidate for candidate, error in errors.items() if error <= KEPT * least]
    return errors | {candidate: bench.grey_error(candidate, FINE) for candidate in kept}


@cache
def photograph() -> Tensor:
    """NCHW RGB 0..255."""
    image = np.ascontiguousarray(astronaut()[CROP].transpose(2, 0, 1)[None])
    return torch.from_numpy(image).float()
