"""All that an int8 build takes forward passes for: rewrites, ranges by the output, corrections, tuning."""

import csv
from collections.abc import Sequence
from pathlib import Path

import torch

from edsr_int8.files import atomic
from edsr_int8.quantization import tuned
from edsr_int8.quantization.basis import even_out
from edsr_int8.quantization.calibrated import calibrated_grids
from edsr_int8.quantization.correct import correct_biases
from edsr_int8.quantization.crops import Crops, cut_crops
from edsr_int8.quantization.network import Network, Sum, measured, read_network
from edsr_int8.quantization.observe import observe_network
from edsr_int8.quantization.options import Preparation
from edsr_int8.quantization.ranges import Grid, choose_all, grid
from edsr_int8.quantization.rewrite import fold
from edsr_int8.quantization.search import search_ranges
from edsr_int8.quantization.simulate import THREADS, Simulation
from edsr_int8.quantization.statistics import channel_peaks, mix
from edsr_int8.quantization.tune import Point, TuningOptions, tune

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

    Equal inputs give equal bytes on one kind of machine. InputError where there are no images.
    """
    torch.set_num_threads(THREADS)
    network = fold(read_network(float_model))
    crops = cut_crops(images, count=options.crops, patch=options.patch, seed=options.seed)
    network = _rewritten(network, crops, options)
    simulation = Simulation(
        network,
        _grids(network, histograms, images, options),
        floats=floats,
        shared=shared_grids(network) if options.share else {},
    )
    if "search" in options.ranges.methods:
        search_ranges(simulation, crops.training[:STATISTICS_CROPS])
    if options.bias_correction:
        correct_biases(simulation, crops.training)
    curve = []
    if options.steps:
        curve = tune(simulation, crops, TuningOptions(options.steps, options.batch, options.seed))
    tuned.save(out, *simulation.result(), sorted(floats))
    _write_curve(out / "curve.csv", curve)


def _rewritten(network: Network, crops: Crops, options: Preparation) -> Network:
    some = crops.training[:STATISTICS_CROPS]
    if options.mix:
        network = mix(network, some, seed=options.seed)
    if options.even:
        network = even_out(network, channel_peaks(network, some))
    return network


def _grids(
    network: Network, histograms: Path, images: Sequence[Path], options: Preparation
) -> dict[str, Grid]:
    """By the row's method, off `histograms`, or off new ones where the tensors are not the observed ones."""
    if not (options.mix or options.even):
        return calibrated_grids(network, histograms, options.ranges)
    sketches = observe_network(network, measured(network), images)
    return {name: grid(*ends) for name, ends in choose_all(sketches, options.ranges).items()}


def shared_grids(network: Network) -> dict[str, str]:
    """The last residual sum's terms take its grid: then adding them rounds nothing.

    Right there because both reach as far as the sum does. Inside the trunk they do not: what a block
    adds is small, and would get a grid too coarse.
    """
    sums = [layer for layer in network.layers if isinstance(layer, Sum)]
    known = measured(network)
    return {name: sums[-1].name for name in sums[-1].inputs if name in known} if sums else {}


def write_nothing(out: Path) -> None:
    """What a row leaves that asks for nothing: a curve without a point."""
    _write_curve(out / "curve.csv", [])


def _write_curve(path: Path, curve: Sequence[Point]) -> None:
    with atomic(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("step", "training_mse", "held_out_mse"))
        for point in curve:
            writer.writerow((point.step, f"{point.training_mse:.5f}", f"{point.held_out_mse:.5f}"))
