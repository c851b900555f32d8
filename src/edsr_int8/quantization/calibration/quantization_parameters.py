"""Grids off the histograms that `observe` wrote: no forward pass."""

from collections.abc import Mapping
from pathlib import Path

from edsr_int8.errors import InputError
from edsr_int8.quantization.calibration.histogram import Histogram, load
from edsr_int8.quantization.calibration.range_estimators import Grid, choose_all, grid
from edsr_int8.quantization.ir.layers import Network, Sum, measured
from edsr_int8.quantization.recipe import MODEL_CARD, Recipe
from edsr_int8.quantization.rewrites.fold_long_skip import ROOM, joined


def calibrated_grids(network: Network, histograms: Path, recipe: Recipe) -> dict[str, Grid]:
    """The grid of every measured tensor. InputError: `histograms` are not those of the folded `network`."""
    sketches = load(histograms, weights_sha256=network.weights_sha256)
    if missing := [name for name in measured(network) if name not in sketches]:
        raise InputError(f"{histograms}: has no tensor {missing[0]}; run observe again")
    return choose_grids(network, {name: sketches[name] for name in measured(network)}, recipe)


def swept_grids(network: Network, histograms: Path, recipe: Recipe) -> dict[str, Grid]:
    """`calibrated_grids`, but the tensor that taps are joined with takes the card's range, come what may.

    The weights that read both depend on it: this way a sweep of ranges need not round them anew.
    """
    found = calibrated_grids(network, histograms, recipe)
    if name := joined(network):
        found[name] = calibrated_grids(network, histograms, MODEL_CARD)[name]
    return found


def choose_grids(network: Network, sketches: Mapping[str, Histogram], recipe: Recipe) -> dict[str, Grid]:
    """The grids of the tensors of `sketches` by `recipe`."""
    chosen = choose_all(sketches, recipe)
    if name := joined(network):
        low, high = chosen[name]
        chosen[name] = low, max(high, -low * ROOM)
    return {name: grid(*ends) for name, ends in chosen.items()}


def shared_grids(network: Network) -> dict[str, str]:
    """The last residual sum's terms take its grid: then adding them rounds nothing.

    Right there because both reach as far as the sum does. Inside the trunk they do not: what a block
    adds is small, and would get a grid too coarse. Where that sum is bypassed there is none to share.
    """
    if joined(network):
        return {}
    sums = [layer for layer in network.layers if isinstance(layer, Sum)]
    known = measured(network)
    return {name: sums[-1].name for name in sums[-1].inputs if name in known} if sums else {}
