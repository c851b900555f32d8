"""From a float graph and a recipe to a quantized network: the passes of a recipe, in their order.

Passes that compute on crops import what they need of torch themselves: it takes seconds, which the recipes
that learn nothing, and so every value of a sweep of percentiles, need not wait for.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from edsr_int8.cluster.work import Executor
from edsr_int8.quantization.algorithms.gptq_weights import load_weights
from edsr_int8.quantization.analysis.curves import CurvePoint
from edsr_int8.quantization.analysis.mixed_precision import high_precision_layers
from edsr_int8.quantization.augmentation import PLAIN, Augmentation
from edsr_int8.quantization.calibration.colours import colour_ranges
from edsr_int8.quantization.calibration.histogram import load_colours
from edsr_int8.quantization.calibration.observe import HERE, observe_network
from edsr_int8.quantization.calibration.quantization_parameters import (
    choose_grids,
    load_histograms,
    own_ranges,
)
from edsr_int8.quantization.ir.grid import Range
from edsr_int8.quantization.ir.layers import Concat, Conv, Network
from edsr_int8.quantization.ir.read_onnx import read_network
from edsr_int8.quantization.ir.scale_groups import calibrated
from edsr_int8.quantization.recipe import Carriers, Recipe, Statistics
from edsr_int8.quantization.rewrites import channel_transform, collapse_tail, direct_tail, equalize, structure
from edsr_int8.quantization.rewrites.centre import centre_image
from edsr_int8.quantization.rewrites.fold import fold
from edsr_int8.quantization.state import QuantizedNetwork

if TYPE_CHECKING:
    from edsr_int8.quantization.simulation.crops import Crops

REWRITE_CROPS = 128  # that channel bases and channel peaks are computed from
GPTQ_CROPS = 128  # of a recipe that learns, which takes longer than rounding its weights


@dataclass(frozen=True)
class Calibration:
    """What passes learn from: the calibration images of one model, and what stages found on them."""

    float_model: Path  # ONNX
    images: Sequence[Path]
    histograms: Path  # of observe
    losses: Path  # of sensitivity
    gptq_weights: Path  # of gptq
    statistics: Statistics
    augmentation: Augmentation = PLAIN  # of its crops
    device: str = "cpu"  # that torch computes on: cpu | cuda
    executor: Executor = HERE  # of forward passes that count activations

    @cached_property
    def float_network(self) -> Network:
        """The network whose output int8 should give, folded."""
        return fold(read_network(self.float_model))

    @cached_property
    def crops(self) -> "Crops":
        from edsr_int8.quantization.simulation.crops import cut_crops

        return cut_crops(self.images, self.statistics, self.augmentation).to(self.device)


Pass = Callable[[QuantizedNetwork, Recipe, Calibration], QuantizedNetwork]


def passes(recipe: Recipe) -> list[Pass]:
    """Exact rewrites first, then ranges, then corrections, then learning; weights are rounded last."""
    steps: list[tuple[bool, Pass]] = [
        (recipe.symmetric, centre),
        (recipe.collapse_tail, collapse),
        (recipe.high_precision, choose_high_precision),
        (recipe.fold_long_skip or recipe.fold_head, fold_skip),
        (recipe.strict and recipe.collapse_tail, read_directly),
        (recipe.channel_transform, transform_channels),
        (recipe.equalize, equalize_channels),
        (True, calibrate),
        (recipe.fold_long_skip or recipe.carriers != Carriers(), carry),
        (recipe.searches, search_ranges),
        (recipe.bias_correction, correct_biases),
        (recipe.finetune.steps > 0, learn),
        (recipe.finetune.steps > 0 and recipe.strict, widen),
        (recipe.gptq, round_weights),
    ]
    return [step for asked, step in steps if asked]


def run(recipe: Recipe, calibration: Calibration) -> QuantizedNetwork:
    """The float network after every pass of `recipe`.

    No forward pass unless the recipe `learns`. Equal inputs give equal values on one kind of machine. Where
    these passes ran on a GPU, the metadata of the network name it as `device`.
    InputError where a pass lacks what it needs, by the file's name.
    """
    state = QuantizedNetwork(
        calibration.float_network,
        scheme=recipe.scheme,
        high_precision_dtype=recipe.high_precision_dtype,
    )
    for step in passes(recipe):
        state = step(state, recipe, calibration)
    if state.curve and recipe.gptq:
        state = with_last_point(state, calibration)
    if not recipe.learns:
        return state
    from edsr_int8.quantization.simulation.device import made_on

    return replace(state, network=made_on(calibration.device, state.network))


def centre(state: QuantizedNetwork, _: Recipe, __: Calibration) -> QuantizedNetwork:
    return replace(state, network=centre_image(state.network))


def collapse(state: QuantizedNetwork, _: Recipe, __: Calibration) -> QuantizedNetwork:
    return replace(state, network=collapse_tail.collapse_tail(state.network))


def choose_high_precision(
    state: QuantizedNetwork, recipe: Recipe, calibration: Calibration
) -> QuantizedNetwork:
    chosen = high_precision_layers(state.network, recipe, calibration.losses)
    return replace(state, high_precision=chosen)


def fold_skip(state: QuantizedNetwork, recipe: Recipe, _: Calibration) -> QuantizedNetwork:
    return replace(state, network=structure.folded(state.network, recipe.structure, state.high_precision))


def read_directly(state: QuantizedNetwork, recipe: Recipe, _: Calibration) -> QuantizedNetwork:
    """Not where a sum is on one scale with its terms: a concatenation of it would end that."""
    if recipe.unify_scales and not any(isinstance(x, Concat) for x in state.network.layers):
        return state
    return replace(state, network=direct_tail.direct_tail(state.network))


def transform_channels(state: QuantizedNetwork, recipe: Recipe, calibration: Calibration) -> QuantizedNetwork:
    """Every linear tensor in the channel basis in which rounding costs the output least."""
    from edsr_int8.quantization.simulation.channel_statistics import channel_moments

    network, crops = state.network, calibration.crops.training[:REWRITE_CROPS]
    bases = channel_transform.linear_bases(network)
    read = {basis: _read(network, basis) for basis in bases}
    names = [name for basis in bases for name in read[basis]]
    found = channel_moments(network, names, crops, seed=recipe.statistics.seed)
    for basis in bases:
        moments = [found[name] for name in read[basis]]
        matrix = channel_transform.best_transform([m.signal for m in moments], [m.gain for m in moments])
        network = channel_transform.transform_channels(network, basis, matrix)
    return replace(state, network=network)


def _read(network: Network, basis: channel_transform.Basis) -> list[str]:
    """The tensors of a basis that are read as codes: by a convolution, or by a layer outside the basis."""
    read = {name for x in network.layers if isinstance(x, Conv) or x.name not in basis for name in x.inputs}
    return [x.name for x in network.layers if x.name in basis & read]


def equalize_channels(state: QuantizedNetwork, _: Recipe, calibration: Calibration) -> QuantizedNetwork:
    from edsr_int8.quantization.simulation.channel_statistics import channel_peaks

    peaks = channel_peaks(state.network, calibration.crops.training[:REWRITE_CROPS])
    return replace(state, network=equalize.equalize(state.network, peaks))


def calibrate(state: QuantizedNetwork, recipe: Recipe, calibration: Calibration) -> QuantizedNetwork:
    """Grids off the histograms of `observe`, or off new ones where a rewrite changed the tensors."""
    network = state.network
    if recipe.rewrites_tensors:
        histograms = observe_network(
            network, calibrated(network), calibration.images, executor=calibration.executor
        )
    else:
        histograms = load_histograms(calibration.histograms, network)
    colours = None
    if recipe.cover_colours:
        colours = colours_of(network, recipe, calibration)
    rounded = recipe.needs_gptq_weights
    grids = choose_grids(network, histograms, recipe, weights_are_rounded=rounded, colours=colours)
    fetched = {name: histograms[name] for name in direct_tail.fetching(network)}
    filled = direct_tail.filling(network, grids, own_ranges(fetched, recipe, colours))
    return replace(state, network=filled).on_grids(grids)


def colours_of(network: Network, recipe: Recipe, calibration: Calibration) -> Mapping[str, Range]:
    """Of flat colours, off the file of `observe`; what learns looks itself, finetuning at stripes, too."""
    if not recipe.learns:
        return load_colours(calibration.histograms)
    return colour_ranges(network, calibrated(network), stripes=recipe.finetune.steps > 0)


def carry(state: QuantizedNetwork, recipe: Recipe, _: Calibration) -> QuantizedNetwork:
    """After ranges are known: carriers change no tensor's range, and need not be observed."""
    return replace(state, network=structure.carried(state.network, recipe.carriers))


def search_ranges(state: QuantizedNetwork, recipe: Recipe, calibration: Calibration) -> QuantizedNetwork:
    from edsr_int8.quantization.algorithms import range_search

    return range_search.search_ranges(state, calibration.float_network, recipe, calibration.crops)


def correct_biases(state: QuantizedNetwork, recipe: Recipe, calibration: Calibration) -> QuantizedNetwork:
    from edsr_int8.quantization.algorithms import bias_correction

    return bias_correction.correct_biases(state, recipe, calibration.crops)


def learn(state: QuantizedNetwork, recipe: Recipe, calibration: Calibration) -> QuantizedNetwork:
    from edsr_int8.quantization.algorithms import finetune

    # Until biases are corrected, the rewritten network is the float one, and in the very sums that learn.
    wanted = calibration.float_network if recipe.bias_correction else state.network
    return finetune.finetune(state, wanted, recipe, calibration.crops)


def widen(state: QuantizedNetwork, recipe: Recipe, calibration: Calibration) -> QuantizedNetwork:
    """Only in strict int8: where sums are in float, lines clip less, and the noise costs more."""
    from edsr_int8.quantization.algorithms import widen_ranges

    return widen_ranges.widen_ranges(state, calibration.float_network, recipe, calibration.crops)


def round_weights(state: QuantizedNetwork, recipe: Recipe, calibration: Calibration) -> QuantizedNetwork:
    """By GPTQ. A recipe that does not learn shares the weights that the gptq stage rounded once for all."""
    if recipe.needs_gptq_weights:
        rounded = load_weights(calibration.gptq_weights, state.network, recipe.structure.label)
        return replace(state, network=rounded)
    from edsr_int8.quantization.algorithms import gptq
    from edsr_int8.quantization.simulation.quantsim import NOTHING, TENSORS

    # What was learned, or corrected, is for rounded tensors; all else still is the float network.
    wanted = TENSORS if recipe.finetune.steps or recipe.bias_correction else NOTHING
    crops = calibration.crops.training[:GPTQ_CROPS]
    return replace(state, network=gptq.gptq(state, crops, wanted))


def with_last_point(state: QuantizedNetwork, calibration: Calibration) -> QuantizedNetwork:
    """The finetuning curve with one more point: the error after the weights were rounded."""
    from edsr_int8.quantization.simulation.objective import geometric_error, with_float_outputs
    from edsr_int8.quantization.simulation.quantsim import Simulation

    images, wanted = with_float_outputs(calibration.float_network, calibration.crops.held_out)
    error = geometric_error(Simulation(state).to(images.device), images, wanted)
    return replace(state, curve=(*state.curve, CurvePoint(state.curve[-1].step, None, error)))
