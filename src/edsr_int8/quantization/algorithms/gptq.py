"""Weight rounding that makes up for itself: GPTQ (Frantar et al. 2023, https://arxiv.org/abs/2210.17323).

Nearest rounding treats each weight alone. But neighbouring pixels and channels go together: in a smooth
area the errors of a kernel's nine weights simply add up. Here weights are rounded one input at a time,
and those not yet rounded take back what the error does to the output, by the second moments of what the
convolution reads. It has a closed form and no gradient; only the rounding moves, by a step or so.
"""

import math
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from edsr_int8.quantization.calibration.quantization_parameters import swept_grids
from edsr_int8.quantization.ir.integer_weights import LARGEST
from edsr_int8.quantization.ir.layers import IMAGE, Conv, Network, read_network
from edsr_int8.quantization.recipe import MODEL_CARD
from edsr_int8.quantization.rewrites.fold import fold
from edsr_int8.quantization.rewrites.fold_long_skip import bypass_trunk, reads_join, regrid
from edsr_int8.quantization.simulation.crops import cut_crops
from edsr_int8.quantization.simulation.quantsim import THREADS, Simulation
from edsr_int8.quantization.state import save_weights

DAMPING = 0.01  # of the mean second moment, added to each
CROPS = 64  # looked at: at 32x32 pixels, 100 windows for each weight of a 3x3 kernel over 64 channels
PATCH, SEED = 32, 0


def round_network(float_model: Path, histograms: Path, images: Sequence[Path], out: Path) -> None:
    """Write the folded network's weights, rounded by `gptq`, for `tuned.load_weights`.

    Both as it is and bypassed, where it can be: these differ in one convolution.
    """
    torch.set_num_threads(THREADS)
    crops = cut_crops(images, count=CROPS, patch=PATCH, seed=SEED).training
    network = fold(read_network(float_model))
    around = bypass_trunk(network)
    if around is network:
        save_weights(out, gptq(network, crops))
        return
    around = regrid(around, swept_grids(around, histograms, MODEL_CARD))
    others = [x.name for x in around.layers if isinstance(x, Conv) and not reads_join(x)]
    # In this order: of the convolutions that both have, the rounded ones stay.
    save_weights(out, gptq(around, crops, others), gptq(network, crops))


@torch.no_grad()
def gptq(network: Network, crops: Tensor, floats: Collection[str] = ()) -> Network:
    """`network` with the weights of its convolutions, but those in `floats`, on their int8 grids.

    `crops`: uint8 NCHW. The grids are those of nearest rounding, one for each output channel, so that
    rounding to the nearest later changes nothing. One forward pass; one second moment in memory at a time.
    """
    convs = [x for x in network.layers if isinstance(x, Conv) and x.name not in floats]
    rounded: dict[str, np.ndarray] = {}

    def see(name: str, value: Tensor) -> Tensor:
        for conv in (x for x in convs if x.inputs[0] == name):
            weight = torch.from_numpy(conv.weight.astype(np.float64))
            nearby = on_grid(weight.flatten(1), second_moment(value, tuple(weight.shape[2:])))
            rounded[conv.name] = nearby.reshape(weight.shape).numpy()
        return value

    images = crops[:CROPS].float()
    see(IMAGE, images)
    Simulation(network, {})(images, exact=True, see=see)
    layers = [
        replace(x, weight=rounded[x.name]) if isinstance(x, Conv) and x.name in rounded else x
        for x in network.layers
    ]
    return replace(network, layers=tuple(layers))


def second_moment(value: Tensor, kernel: tuple[int, ...]) -> Tensor:
    """Mean of x x^T over the windows x of a `kernel`'s size around each pixel of `value` (NCHW), IHW order.

    Padded by zeros as the convolution pads: at an image's border a kernel's weights count one by one.
    """
    size = value.shape[1] * math.prod(kernel)
    total = torch.zeros(size, size, dtype=torch.float64)
    for one in value:
        windows = functional.unfold(one, kernel, padding=tuple(length // 2 for length in kernel))
        total += (windows @ windows.T).double() / windows.shape[1]
    return total / len(value)


def on_grid(weight: Tensor, moment: Tensor) -> Tensor:
    """`weight` (outputs x inputs) on the int8 grid of each output, for the least error of the outputs
    over inputs of second moment `moment`. The largest weight of an output keeps its code, as the grid
    comes from it.
    """
    peak = weight.abs().amax(dim=1, keepdim=True)
    step = torch.where(peak > 0, peak / LARGEST, 1.0)
    # Inputs with much to say first: what comes later makes up for their errors, and little is left.
    order = torch.argsort(moment.diagonal(), descending=True, stable=True)
    factor = _factor(moment[order][:, order])
    left = (weight / step)[:, order]
    fixed = left.abs() > LARGEST - 1e-6
    signs = left.sign()
    codes = torch.zeros_like(left)
    for i in range(left.shape[1]):
        nearest = left[:, i].round().clamp(-LARGEST, LARGEST)
        codes[:, i] = torch.where(fixed[:, i], LARGEST * signs[:, i], nearest)
        error = (left[:, i] - codes[:, i]) / factor[i, i]
        left[:, i + 1 :] -= error[:, None] * factor[i, i + 1 :]
    return (codes * step)[:, torch.argsort(order)]


def _factor(moment: Tensor) -> Tensor:
    """The upper Cholesky factor of the inverse of `moment`, damped."""
    size = len(moment)
    mean = float(moment.diagonal().mean()) or 1.0
    damped = moment + DAMPING * mean * torch.eye(size, dtype=moment.dtype)
    return torch.linalg.cholesky(torch.cholesky_inverse(torch.linalg.cholesky(damped)), upper=True)
