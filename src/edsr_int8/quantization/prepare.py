"""All that an int8 build takes forward passes for: rewrites, ranges by the output, corrections, tuning."""

import math
from collections.abc import Sequence
from pathlib import Path

import torch

from edsr_int8.files import write_csv
from edsr_int8.quantization import tuned
from edsr_int8.quantization.basis import even_out
from edsr_int8.quantization.bypass import bypass_trunk, joined, regrid
from edsr_int8.quantization.calibrated import calibrated_grids, choose_grids, shared_grids
from edsr_int8.quantization.correct import correct_biases
from edsr_int8.quantization.crops import Crops, cut_crops
from edsr_int8.quantization.gptq import gptq
from edsr_int8.quantization.narrow import narrow
from edsr_int8.quantization.network import Network, measured, read_network
from edsr_int8.quantization.observe import observe_network
from edsr_int8.quantization.options import Preparation
from edsr_int8.quantization.ranges import Grid, method_of
from edsr_int8.quantization.rewrite import fold
from edsr_int8.quantization.search import search_ranges
from edsr_int8.quantization.simulate import THREADS, Simulation
from edsr_int8.quantization.statistics import channel_peaks, mix
from edsr_int8.quantization.tune import Point, geometric_error, targets, tune

STATISTICS_CROPS = 128  # that bases and channel peaks are taken from


def prepare(
    float_model: Path,
    histograms: Path,
    images: Sequence[Path],
    out: Path,
    options: Preparation,
    floats: frozenset[str] = frozenset(),
) -> None:
    """Write `out`/{weights.npz,grids.json} as tuned.py does, and curve.csv: what tuning gained, step by step.

    With `gptq`, weights learn unrounded and are rounded last; the curve's last point has them rounded.
    Equal inputs give equal bytes on one kind of machine. InputError where there are no images.
    """
    torch.set_num_threads(THREADS)
    folded = fold(read_network(float_model))
    network = narrow(folded) if options.narrow else folded
    # Else `histograms` are of other tensors.
    observed = network is folded and not (options.mix or options.even)
    if options.bypass:
        network = bypass_trunk(network, floats)
    budget = options.tuning
    crops = cut_crops(images, count=budget.crops, patch=budget.patch, seed=budget.seed)
    network = _rewritten(network, crops, options)
    grids = _grids(network, histograms if observed else None, images, options)
    simulation = Simulation(
        regrid(network, grids),
        grids,
        floats=floats,
        shared=shared_grids(network) if options.share else {},
    )
    joint = joined(network)
    if options.gptq:  # rounds them at the end; until then they learn what rounding the tensors asks of them
        simulation.layers = frozenset()
    elif joint:  # weights that read taps are rounded in steps of their grid, so that stays
        simulation.freeze(joint)
    own = [name for name in measured(network) if name not in {*simulation.shared, joint}]
    searched = [name for name in own if method_of(name, options.ranges)[0] == "search"]
    search_ranges(simulation, searched, crops.training[:STATISTICS_CROPS])
    if options.bias_correction:
        correct_biases(simulation, crops.training)
    curve = tune(simulation, crops, options.tuning) if options.tuning.steps else []
    network, grids = simulation.result()
    if options.gptq:
        network = gptq(network, crops.training, floats)
        if curve:
            rounded = Simulation(network, grids, floats=floats)
            left = geometric_error(rounded, *targets(simulation, crops.held_out))
            curve.append(Point(curve[-1].step, math.nan, left))  # with the weights rounded, too
    tuned.save(out, network, grids, sorted(floats))
    _write_curve(out / "curve.csv", curve)


def _rewritten(network: Network, crops: Crops, options: Preparation) -> Network:
    some = crops.training[:STATISTICS_CROPS]
    if options.mix:
        network = mix(network, some, seed=options.tuning.seed)
    if options.even:
        network = even_out(network, channel_peaks(network, some))
    return network


def _grids(
    network: Network, histograms: Path | None, images: Sequence[Path], options: Preparation
) -> dict[str, Grid]:
    """By the row's method, off `histograms`, or off new ones where there are none of these tensors."""
    if histograms:
        return calibrated_grids(network, histograms, options.ranges)
    sketches = observe_network(network, measured(network), images)
    return choose_grids(network, sketches, options.ranges)


def write_nothing(out: Path) -> None:
    """What a row leaves that asks for nothing: a curve without a point."""
    _write_curve(out / "curve.csv", [])


def _write_curve(path: Path, curve: Sequence[Point]) -> None:
    rows = ((p.step, f"{p.training_mse:.5f}", f"{p.held_out_mse:.5f}") for p in curve)
    write_csv(path, ("step", "training_mse", "held_out_mse"), rows)
