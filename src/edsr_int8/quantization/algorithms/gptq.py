"""Weight rounding that compensates for itself: GPTQ (Frantar et al. 2023, https://arxiv.org/abs/2210.17323).

Nearest rounding treats each weight alone. But neighbouring pixels and channels are correlated: in a smooth
area the errors of a kernel's nine weights simply add up. Here weights are rounded one input at a time, and
those not yet rounded compensate the error of the output, by the second moments of the convolution's input.
It has a closed form and no gradient; a weight moves by a step or so.
"""

from collections.abc import Collection, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from edsr_int8.quantization.algorithms.gptq_weights import save_weights
from edsr_int8.quantization.algorithms.second_moment import second_moment
from edsr_int8.quantization.calibration.histogram import load_colours
from edsr_int8.quantization.calibration.quantization_parameters import choose_grids, load_histograms
from edsr_int8.quantization.ir.integer_weights import LARGEST
from edsr_int8.quantization.ir.layers import IMAGE, Conv, Network
from edsr_int8.quantization.ir.read_onnx import read_network
from edsr_int8.quantization.recipe import MODEL_CARD, Statistics, Structure
from edsr_int8.quantization.rewrites.fold import fold
from edsr_int8.quantization.rewrites.fold_long_skip import on_grids
from edsr_int8.quantization.rewrites.structure import carried, folded
from edsr_int8.quantization.simulation.crops import cut_crops
from edsr_int8.quantization.simulation.device import made_on
from edsr_int8.quantization.simulation.quantsim import NOTHING, Simulation
from edsr_int8.quantization.state import QuantizedNetwork

DAMPING = 0.01  # of the mean second moment, added to each
BLOCK = 64  # inputs
AT_ONCE = 2  # convolutions, a core each: the matrix product of a second moment is too thin for more
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

    In each of the forms `structures`; what they have in common is rounded once. `gptq_weights.load_weights`
    reads them, and the `device` that they were made on. InputError where there are no images.
    """
    crops = cut_crops(images, Statistics(CROPS, patch=32, seed=0)).to(device).training
    network = fold(read_network(float_model))
    rounded: dict[Conv, Conv] = {}
    forms = {}
    for structure in structures:
        form = in_form(network, histograms, structure)
        keep = [x.name for x in form.layers if x in rounded]
        found = gptq(form, crops, keep)
        for old, new in zip(form.layers, found.layers, strict=True):
            if isinstance(old, Conv) and isinstance(new, Conv):
                rounded.setdefault(old, new)
        layers = tuple(rounded[x] if isinstance(x, Conv) else x for x in form.layers)
        forms[structure.label] = made_on(device, replace(found, layers=layers))
    save_weights(out, forms)


def in_form(network: Network, histograms: Path, structure: Structure) -> Network:
    """`network`, which is folded, as `structure` has it, with weights in steps of the card's own grids."""
    form = folded(network, structure)
    if form is network:
        return network
    recipe = replace(MODEL_CARD, cover_colours=structure.cover_colours)
    colours = load_colours(histograms) if structure.cover_colours else None
    grids = choose_grids(form, load_histograms(histograms, form), recipe, colours=colours)
    return carried(on_grids(form, grids), structure.carriers)


@torch.no_grad()
def gptq(
    network: Network, crops: Tensor, keep: Collection[str] = (), *, power_of_two: bool = False
) -> Network:
    """`network` with the weights of its convolutions on their int8 grids, apart from those named in `keep`.

    `crops`: uint8 NCHW. The grids are those of nearest rounding, one for each output channel, so rounding to
    the nearest later changes nothing. One forward pass; second moments of AT_ONCE convolutions in memory.
    """
    convs = [x for x in network.layers if isinstance(x, Conv) and x.name not in keep]
    rounded: dict[str, Future[np.ndarray]] = {}
    images = crops[:CROPS].float()
    with ThreadPoolExecutor(AT_ONCE, initializer=partial(torch.set_num_threads, 1)) as pool:

        def see(name: str, value: Tensor) -> Tensor:
            for conv in (x for x in convs if x.inputs[0] == name):
                if len(rounded) >= AT_ONCE:  # or the values of all layers would wait in memory
                    list(rounded.values())[-AT_ONCE].result()
                rounded[conv.name] = pool.submit(_rounded, conv, value, power_of_two)
            return value

        see(IMAGE, images - network.centre)
        Simulation(QuantizedNetwork(network)).to(images.device)(images, rounding=NOTHING, see=see)
    layers = [
        replace(x, weight=rounded[x.name].result()) if isinstance(x, Conv) and x.name in rounded else x
        for x in network.layers
    ]
    return replace(network, layers=tuple(layers))


@torch.no_grad()
def _rounded(conv: Conv, value: Tensor, power_of_two: bool) -> np.ndarray:
    """The weight of `conv` on its grid, by the second moment of its input `value`."""
    weight = torch.from_numpy(conv.weight.astype(np.float64)).to(value.device)
    moment = second_moment(value, tuple(weight.shape[2:]))
    nearby = on_grid(weight.flatten(1), moment, power_of_two=power_of_two)
    return nearby.reshape(weight.shape).cpu().numpy()


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
