"""All that an int8 build takes forward passes for: rewrites, ranges by the output, corrections, tuning."""

from collections.abc import Sequence
from pathlib import Path

import torch

from edsr_int8.quantization import state as tuned
from edsr_int8.quantization.algorithms.bias_correction import correct_biases
from edsr_int8.quantization.algorithms.finetune import geometric_error, targets, tune
from edsr_int8.quantization.algorithms.gptq import gptq
from edsr_int8.quantization.algorithms.range_search import search_ranges
from edsr_int8.quantization.analysis.curves import CurvePoint, write_curve
from edsr_int8.quantization.calibration.observe import observe_network
from edsr_int8.quantization.calibration.quantization_parameters import (
    calibrated_grids,
    choose_grids,
    shared_grids,
)
from edsr_int8.quantization.calibration.range_estimators import Grid, method_of
from edsr_int8.quantization.ir.layers import Network, measured, read_network
from edsr_int8.quantization.recipe import Recipe
from edsr_int8.quantization.rewrites.channel_transform import even_out
from edsr_int8.quantization.rewrites.collapse_tail import narrow
from edsr_int8.quantization.rewrites.fold import fold
from edsr_int8.quantization.rewrites.fold_long_skip import bypass_trunk, joined, regrid
from edsr_int8.quantization.simulation.channel_statistics import channel_peaks, mix
from edsr_int8.quantization.simulation.crops import Crops, cut_crops
from edsr_int8.quantization.simulation.quantsim import THREADS, Simulation

STATISTICS_CROPS = 128  # that bases and channel peaks are taken from


def prepare(
    float_model: Path,
    histograms: Path,
    images: Sequence[Path],
    out: Path,
    options: Recipe,
    floats: frozenset[str] = frozenset(),
) -> None:
    """Write `out`/{weights.npz,grids.json} as tuned.py does, and curve.csv: what tuning gained, step by step.

    With `gptq`, weights learn unrounded and are rounded last; the curve's last point has them rounded.
    Equal inputs give equal bytes on one kind of machine. InputError where there are no images.
    """
    torch.set_num_threads(THREADS)
    folded = fold(read_network(float_model))
    network = narrow(folded) if options.collapse_tail else folded
    # Else `histograms` are of other tensors.
    observed = network is folded and not (options.channel_transform or options.equalize)
    if options.fold_long_skip:
        network = bypass_trunk(network, floats)
    budget = options.statistics
    crops = cut_crops(images, count=budget.crops, patch=budget.patch, seed=budget.seed)
    network = _rewritten(network, crops, options)
    grids = _grids(network, histograms if observed else None, images, options)
    simulation = Simulation(
        regrid(network, grids),
        grids,
        floats=floats,
        shared=shared_grids(network) if options.unify_scales else {},
    )
    joint = joined(network)
    if options.gptq:  # rounds them at the end; until then they learn what rounding the tensors asks of them
        simulation.layers = frozenset()
    elif joint:  # weights that read taps are rounded in steps of their grid, so that stays
        simulation.freeze(joint)
    own = [name for name in measured(network) if name not in {*simulation.shared, joint}]
    searched = [name for name in own if method_of(name, options)[0] == "search"]
    search_ranges(simulation, searched, crops.training[:STATISTICS_CROPS])
    if options.bias_correction:
        correct_biases(simulation, crops.training)
    curve = (
        tune(simulation, crops, options.finetune, seed=options.statistics.seed)
        if options.finetune.steps
        else []
    )
    network, grids = simulation.result()
    if options.gptq:
        network = gptq(network, crops.training, floats)
        if curve:
            rounded = Simulation(network, grids, floats=floats)
            left = geometric_error(rounded, *targets(simulation, crops.held_out))
            curve.append(CurvePoint(curve[-1].step, None, left))  # with the weights rounded, too
    tuned.save(out, network, grids, sorted(floats))
    write_curve(out / "curve.csv", curve)


def _rewritten(network: Network, crops: Crops, options: Recipe) -> Network:
    some = crops.training[:STATISTICS_CROPS]
    if options.channel_transform:
        network = mix(network, some, seed=options.statistics.seed)
    if options.equalize:
        network = even_out(network, channel_peaks(network, some))
    return network


def _grids(
    network: Network, histograms: Path | None, images: Sequence[Path], options: Recipe
) -> dict[str, Grid]:
    """By the row's method, off `histograms`, or off new ones where there are none of these tensors."""
    if histograms:
        return calibrated_grids(network, histograms, options)
    sketches = observe_network(network, measured(network), images)
    return choose_grids(network, sketches, options)
