"""Weight rounding that compensates for itself: GPTQ (Frantar et al. 2023, https://arxiv.org/abs/2210.17323).

Nearest rounding treats each weight alone. But neighbouring pixels and channels are correlated: in a smooth
area the errors of a kernel's nine weights simply add up. Here weights are rounded one input at a time, and
those not yet rounded compensate the error of the output, by the second moments of the convolution's input.
Before that, each convolution is fitted to what it will read: fit_weights.py. All of it has a closed form and
no gradient.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from edsr_int8.quantization.algorithms.fit_weights import average, fitted, windows
from edsr_int8.quantization.algorithms.gptq_weights import save_weights
from edsr_int8.quantization.calibration.histogram import load_colours
from edsr_int8.quantization.calibration.quantization_parameters import choose_grids, load_histograms
from edsr_int8.quantization.ir.integer_weights import LARGEST
from edsr_int8.quantization.ir.layers import Conv, Network, PixelShuffle
from edsr_int8.quantization.ir.read_onnx import read_network
from edsr_int8.quantization.recipe import MODEL_CARD, Statistics, Structure
from edsr_int8.quantization.rewrites.fold import fold
from edsr_int8.quantization.rewrites.structure import carried, folded
from edsr_int8.quantization.scheme import POWER_OF_TWO
from edsr_int8.quantization.simulation.convolved import convolved
from edsr_int8.quantization.simulation.crops import cut_crops
from edsr_int8.quantization.simulation.device import made_on
from edsr_int8.quantization.simulation.quantsim import ALL, NOTHING, Rounding, Simulation
from edsr_int8.quantization.state import QuantizedNetwork

DAMPING = 0.01  # of the mean second moment, added to each
BLOCK = 64  # inputs
CROPS = 64  # at 32x32 pixels, 100 windows for each weight of a 3x3 kernel over 64 channels


def round_for_all(
    float_model: Path,
    histograms: Path,
    images: Sequence[Path],
    out: Path,
    *,
    structures: Sequence[Structure] = (Structure(), Structure(fold_long_skip=True)),
    device: str = "cpu",
) -> None:
    """Write rounded weights of the folded network that serve every recipe without learning of its own.

    In each of the forms `structures`, on the model card's ranges. `gptq_weights.load_weights` reads them, and
    the `device` that they were made on. InputError where there are no images, or no histograms.
    """
    crops = cut_crops(images, Statistics(CROPS, patch=32, seed=0)).to(device).training
    network = fold(read_network(float_model))
    forms = {each.label: gptq(in_form(network, histograms, each), crops) for each in structures}
    save_weights(out, {label: made_on(device, form) for label, form in forms.items()})


def in_form(network: Network, histograms: Path, structure: Structure) -> QuantizedNetwork:
    """`network`, which is folded, as `structure` has it, on the card's own grids."""
    form = folded(network, structure)
    recipe = replace(MODEL_CARD, cover_colours=structure.cover_colours)
    colours = load_colours(histograms) if structure.cover_colours else None
    grids = choose_grids(form, load_histograms(histograms, form), recipe, colours=colours)
    state = QuantizedNetwork(form).on_grids(grids)
    return replace(state, network=carried(state.network, structure.carriers))


@torch.no_grad()
def gptq(state: QuantizedNetwork, crops: Tensor, wanted: Rounding = NOTHING) -> Network:
    """The network of `state` with its weights fitted to what int8 reads, and on their int8 grids.

    One convolution after the other, so that each makes up for those before it: its output should be that of a
    pass that rounds `wanted` alone. What computes in float is fitted, but not rounded. The grids are those of
    nearest rounding, one for each output channel, so rounding to the nearest later changes nothing.

    `crops`: uint8 NCHW. Two forward passes; the tensors that are still to be read wait in memory.
    """
    images = crops.float()
    reference, simulation = (Simulation(state).to(images.device) for _ in range(2))
    aim, now = reference.start(images), simulation.start(images)
    rounded: dict[str, Conv] = {}
    for layer in state.network.layers:
        if isinstance(layer, PixelShuffle):  # as many windows as before it are enough
            aim, now = (each.first(-(-len(images) // layer.factor**2)) for each in (aim, now))
        if isinstance(layer, Conv):
            read = simulation.read(layer, now)
            rounded[layer.name] = _rounded(layer, read, reference.read(layer, aim) - read, state)
            simulation.take(rounded[layer.name])
        aim, now = reference.step(aim, wanted), simulation.step(now, ALL)
    return replace(state.network, layers=tuple(rounded.get(x.name, x) for x in state.network.layers))


def _rounded(conv: Conv, read: Tensor, missed: Tensor, state: QuantizedNetwork) -> Conv:
    """`conv` fitted and rounded, by its input `read` of now and by what that misses (NCHW)."""
    kernel = conv.weight.shape[2:]
    weight, bias = (torch.from_numpy(x.astype(np.float64)).to(read.device) for x in (conv.weight, conv.bias))
    lost = convolved(missed, weight.float(), None, periodic=False)
    parts = range(min(2, len(read)))
    # A core each, as their matrix products are too thin for more.
    with ThreadPoolExecutor(2, initializer=partial(torch.set_num_threads, 1)) as pool:
        halves = list(pool.map(lambda i: windows(read[i::2], lost[i::2], kernel), parts))
    flat, bias = fitted(weight.flatten(1), bias, halves)
    if conv.name not in state.in_float:
        seen = average(halves)
        nearby = on_grid(flat, seen.second_moment, power_of_two=state.scheme in POWER_OF_TWO)
        flat, bias = nearby, bias - (nearby - flat) @ seen.mean
    return replace(conv, weight=flat.reshape(weight.shape).cpu().numpy(), bias=bias.cpu().numpy())


def on_grid(weight: Tensor, moment: Tensor, *, power_of_two: bool = False) -> Tensor:
    """`weight` (outputs x inputs) on the int8 grid of each output, with the least error of the outputs.

    `moment`: second moment of the inputs. The largest weight of an output keeps its code, as the grid comes
    from it. A step that is a power of two needs no such care: codes on it lie on half of it, too.
    """
    peak = weight.abs().amax(dim=1, keepdim=True)
    step = torch.where(peak > 0, peak / LARGEST, 1.0)
    if power_of_two:
        step = step.log2().ceil().exp2()
    # The strongest inputs first: those after them compensate, and at the end little is left to compensate.
    order = torch.argsort(moment.diagonal(), descending=True, stable=True)
    factor = _factor(moment[order][:, order]).cpu().numpy()
    codes = _codes((weight / step)[:, order].T.cpu().numpy(), factor)
    return (torch.from_numpy(codes.T).to(step.device) * step)[:, torch.argsort(order)]


def _codes(weight: np.ndarray, factor: np.ndarray) -> np.ndarray:
    """`weight` (inputs x outputs, in steps) rounded input by input, by the upper factor of `_factor`.

    In numpy, whose calls on short rows cost a sixth of torch's. The error of a block of inputs reaches those
    after the block in one product, as in the paper's section 3.3.
    """
    left = np.ascontiguousarray(weight)
    largest = np.abs(left) > LARGEST - 1e-6
    codes = LARGEST * np.sign(left)
    for start in range(0, len(left), BLOCK):
        stop = min(start + BLOCK, len(left))
        errors = np.empty_like(left[start:stop])
        for i in range(start, stop):
            nearest = np.clip(np.rint(left[i]), -LARGEST, LARGEST)
            np.copyto(codes[i], nearest, where=~largest[i])
            errors[i - start] = (left[i] - codes[i]) / factor[i, i]
            left[i + 1 : stop] -= factor[i, i + 1 : stop, None] * errors[i - start]
        left[stop:] -= factor[start:stop, stop:].T @ errors
    return codes


def _factor(moment: Tensor) -> Tensor:
    """The upper Cholesky factor of the inverse of `moment`, damped."""
    size = len(moment)
    mean = float(moment.diagonal().mean()) or 1.0
    damped = moment + DAMPING * mean * torch.eye(size, dtype=moment.dtype, device=moment.device)
    return torch.linalg.cholesky(torch.cholesky_inverse(torch.linalg.cholesky(damped)), upper=True)
