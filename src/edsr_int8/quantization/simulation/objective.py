"""How far a simulation's output is from the float network's, on crops: what every search minimizes.

No labels: the float network's own output is what int8 should give.
"""

import torch
from torch import Tensor

from edsr_int8.quantization.ir.layers import Network
from edsr_int8.quantization.simulation.crops import detail
from edsr_int8.quantization.simulation.quantsim import ALL, NOTHING, Rounding, Simulation
from edsr_int8.quantization.state import QuantizedNetwork

BATCH = 16  # crops at a time where nothing is learned
DETAIL_FLOOR = 0.2  # grey levels squared, of a crop without any
FLOOR = 0.01  # grey levels squared, added to a crop's error: far below the error of rounding the output


@torch.no_grad()
def with_float_outputs(float_network: Network, crops: Tensor) -> tuple[Tensor, Tensor]:
    """uint8 NCHW `crops` as float32 images, and what the float network makes of them, clipped to 0..255."""
    images = crops.float()
    simulation = Simulation(QuantizedNetwork(float_network)).to(crops.device)
    return images, torch.cat([simulation(batch, rounding=NOTHING) for batch in images.split(BATCH)])


def squared_errors(
    simulation: Simulation, images: Tensor, wanted: Tensor, rounding: Rounding = ALL
) -> Tensor:
    """Mean squared error of each crop, in grey levels squared."""
    return (simulation(images, rounding=rounding) - wanted).square().mean(dim=(1, 2, 3))


@torch.no_grad()
def mean_error(simulation: Simulation, images: Tensor, wanted: Tensor, rounding: Rounding = ALL) -> float:
    """Mean squared error over all crops, in grey levels squared."""
    return float(_by_batches(simulation, images, wanted, rounding).mean())


@torch.no_grad()
def geometric_error(
    simulation: Simulation, images: Tensor, wanted: Tensor, rounding: Rounding = ALL
) -> float:
    """Geometric mean over crops of their mean squared errors, in grey levels squared.

    Geometric: in an arithmetic mean, a single clipped crop would dominate.
    """
    squares = _by_batches(simulation, images, wanted, rounding)
    return float((squares + FLOOR).log().mean().exp())


@torch.no_grad()
def visible_error(simulation: Simulation, images: Tensor, wanted: Tensor, rounding: Rounding = ALL) -> float:
    """Mean over crops of the squared error, as a share of the detail that it hides in."""
    squares = _by_batches(simulation, images, wanted, rounding)
    return float((squares / (detail(images) + DETAIL_FLOOR)).mean())


def _by_batches(simulation: Simulation, images: Tensor, wanted: Tensor, rounding: Rounding) -> Tensor:
    pairs = zip(images.split(BATCH), wanted.split(BATCH), strict=True)
    return torch.cat([squared_errors(simulation, x, y, rounding) for x, y in pairs])
