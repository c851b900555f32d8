"""From histograms to grids: scale and zero point of every calibrated tensor. No forward pass."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from edsr_int8.errors import InputError
from edsr_int8.quantization.calibration.colours import covering, floors
from edsr_int8.quantization.calibration.histogram import Histogram, load
from edsr_int8.quantization.calibration.range_estimators import estimate_ranges, squared_error
from edsr_int8.quantization.ir.grid import Grid, Range, grid
from edsr_int8.quantization.ir.layers import Network
from edsr_int8.quantization.ir.scale_groups import ScaleGroup, calibrated, scale_groups
from edsr_int8.quantization.recipe import MODEL_CARD, Recipe
from edsr_int8.quantization.scheme import POWER_OF_TWO

# How far towards the range of colours a range is widened, 0..1: with all of it, the rounding of photographs
# would pay for colours, and finetuning would spend its steps on narrowing what the picture does not need.
WIDENED = 0.5


def load_histograms(path: Path, network: Network) -> dict[str, Histogram]:
    """The histograms of `network`'s calibrated tensors. InputError: damaged, or another network's."""
    found = load(path, weights_sha256=network.weights_sha256)
    if missing := [name for name in calibrated(network) if name not in found]:
        raise InputError(f"{path}: has no tensor {missing[0]}; run observe again")
    return {name: found[name] for name in calibrated(network)}


def choose_grids(
    network: Network,
    histograms: Mapping[str, Histogram],
    recipe: Recipe,
    *,
    weights_are_rounded: bool = False,
    colours: Mapping[str, Range] | None = None,
) -> dict[str, Grid]:
    """The grid of each tensor of `histograms`, by the recipe's range estimators.

    `colours`, of calibration/colours.py: the ranges are widened towards these.

    `weights_are_rounded`: a tensor whose scale is in the weights always uses percentile 99.999, as when the
    weights were rounded, whatever the recipe says. So a sweep over ranges reuses the rounded weights.
    """
    groups = scale_groups(network, unify=recipe.unify_scales)
    chosen = _grids(groups, histograms, recipe, colours)
    if weights_are_rounded:
        fixed = {name: histograms[name] for name in chosen if groups[name].in_weights}
        chosen |= _grids(groups, fixed, MODEL_CARD, colours)
    return {name: chosen[groups[name].owner] for name in chosen}


def _grids(
    groups: Mapping[str, ScaleGroup],
    histograms: Mapping[str, Histogram],
    recipe: Recipe,
    colours: Mapping[str, Range] | None,
) -> dict[str, Grid]:
    ranges = own_ranges(histograms, recipe, colours)
    found = {
        name: grid(low, max(high, -low * groups[name].room), recipe.scheme)
        for name, (low, high) in ranges.items()
    }
    if recipe.scheme in POWER_OF_TWO:
        least = floors(colours or {})
        return {
            name: _nearer_power(histograms[name], wide, least.get(name, (0.0, 0.0)))
            for name, wide in found.items()
        }
    return found


def own_ranges(
    histograms: Mapping[str, Histogram], recipe: Recipe, colours: Mapping[str, Range] | None
) -> Mapping[str, Range]:
    """The range that each tensor would have by itself, whatever grid it shares."""
    ranges: Mapping[str, Range] = estimate_ranges(histograms, recipe)
    return ranges if colours is None else covering(ranges, colours, WIDENED)


def _nearer_power(histogram: Histogram, wide: Grid, least: Range) -> Grid:
    """`wide`, or half its scale where that loses less: rounding twice as finely may be worth a clip.

    Never one that does not hold the range `least`.
    """
    half = replace(wide, scale=wide.scale / 2)
    low, high = half.range
    if least[0] < low or high < least[1]:
        return wide
    return min(wide, half, key=lambda each: squared_error(histogram, *each.range))
