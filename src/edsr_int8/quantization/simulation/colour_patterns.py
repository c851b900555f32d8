"""Patterns of one colour or of stripes: a period each of a picture that repeats without end.

What the network makes of an endless picture, it makes of one period whose borders meet, in a fraction of the
pixels. A crop of stripes would be its border above all: rounding in the inside of a field, which repeats from
period to period, is what shifts its colour, and near the border no two periods are rounded alike.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from edsr_int8.quantization.ir.layers import Network
from edsr_int8.quantization.simulation.drawn_crops import CORNERS, STRIPES
from edsr_int8.quantization.simulation.quantsim import ALL, NOTHING, Rounding, Simulation
from edsr_int8.quantization.state import QuantizedNetwork

SIDES = (4, 2 * max(STRIPES))  # pixels across and along: along it, whole periods of all stripes
PLACE = max(STRIPES)  # pixels along it whose mean is compared: a widest stripe, or whole periods
FLAT = 64  # colours to learn from, and others to check on; an eighth of them corners of the RGB cube

WEIGHT = 0.1  # of a grey level squared beside the logarithm of a crop's error
LEARNED, CHECKED = 0.5, 1.0  # grey levels that a colour may shift at no cost: 2 are visible


@dataclass(frozen=True)
class Patterns:
    """float32 NCHW, and what the float network makes of them."""

    images: Tensor
    wanted: Tensor

    def at(self, places: Tensor) -> "Patterns":
        return Patterns(self.images[places], self.wanted[places])


@dataclass(frozen=True)
class ColourPatterns:
    """To learn from and to check on: stripes upright and then lying, and flat colours beside them."""

    training: tuple[Patterns, Patterns]
    held_out: tuple[Patterns, Patterns]


def colour_patterns(float_network: Network, seed: int, device: str | torch.device = "cpu") -> ColourPatterns:
    """Every stripe both to learn from and to check on, as there are no others; flat colours are drawn."""
    simulation = Simulation(QuantizedNetwork(float_network)).to(device)
    random = np.random.default_rng(seed)

    @torch.no_grad()
    def with_outputs(patterns: Tensor) -> Patterns:
        images = patterns.float().to(device)
        return Patterns(images, simulation(images, rounding=NOTHING, periodic=True))

    def both_ways() -> tuple[Patterns, Patterns]:
        upright = torch.cat([striped_patterns(), flat_patterns(FLAT, random)])
        return with_outputs(upright), with_outputs(upright.transpose(2, 3))

    return ColourPatterns(both_ways(), both_ways())


def striped_patterns() -> Tensor:
    """Upright stripes of every two corners of the RGB cube, in each width: uint8 NCHW of SIDES."""
    second = np.stack([np.arange(SIDES[1]) // width % 2 for width in STRIPES])[:, :, None] == 1
    rows = [np.where(second, a, b) for a, b in combinations(CORNERS, 2)]
    return _patterns(np.concatenate(rows))


def flat_patterns(count: int, random: np.random.Generator) -> Tensor:
    """Colours at random, an eighth of them corners of the RGB cube: uint8 NCHW of SIDES."""
    colours = random.integers(0, 256, (count, 3)).astype(np.uint8)
    corners = count // 8
    colours[:corners] = CORNERS[random.integers(0, len(CORNERS), corners)]
    return _patterns(np.repeat(colours[:, None], SIDES[1], axis=1))


def _patterns(rows: np.ndarray) -> Tensor:
    """From one row of pixels each, N x length x 3."""
    return torch.from_numpy(rows.transpose(0, 2, 1)[:, :, None].repeat(SIDES[0], axis=2))


def colour_shifts(simulation: Simulation, patterns: Patterns, rounding: Rounding = ALL) -> Tensor:
    """Of each pattern, how far a mean colour is from the wanted one, in grey levels: the worst channel's."""
    difference = simulation(patterns.images, rounding=rounding, periodic=True) - patterns.wanted
    height, width = (max(1, length // PLACE) for length in patterns.images.shape[2:])
    return adaptive_avg_pool2d(difference, (height, width)).abs().amax(dim=(1, 2, 3))


def colour_loss(shifts: Tensor, allowed: float) -> Tensor:
    """The mean square of the colour shifts beyond those `allowed`, in grey levels, weighted.

    Not its logarithm, as the error of crops: a shift that nobody sees costs nothing, a large one much.
    """
    return WEIGHT * (shifts - allowed).clamp(min=0).square().mean()


@torch.no_grad()
def checked_loss(simulation: Simulation, patterns: Sequence[Patterns], rounding: Rounding = ALL) -> float:
    """What visible shifts cost on patterns that are checked on, beside the logarithm of a crop's error."""
    losses = [float(colour_loss(colour_shifts(simulation, each, rounding), CHECKED)) for each in patterns]
    return sum(losses) / max(1, len(losses))
