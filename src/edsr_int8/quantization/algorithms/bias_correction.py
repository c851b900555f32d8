"""Bias correction: what rounding does to a convolution's output on average is taken back in its bias."""

import torch
from torch import Tensor

from edsr_int8.quantization.ir.layers import Conv
from edsr_int8.quantization.simulation.quantsim import Simulation, key

LOOKED_AT = 64  # crops: at 32x32 pixels, 65,536 values for the mean of each channel


@torch.no_grad()
def correct_biases(simulation: Simulation, crops: Tensor) -> None:
    """Set the biases of `simulation` so that on `crops` every convolution gives its float mean per channel.

    Of the rounding that is on. One pass, layer by layer: each correction sees those before it (Nagel et
    al. 2019, section 4.2, https://arxiv.org/abs/1906.04721). Behind a Relu or a clip the mean is that of
    the clipped values, so there the correction is a first-order one.
    """
    images = crops[:LOOKED_AT].float()
    wanted: dict[str, Tensor] = {}

    def note(name: str, value: Tensor) -> Tensor:
        wanted[name] = value.mean(dim=(0, 2, 3))
        return value

    def correct(name: str, value: Tensor) -> Tensor:
        if name not in simulation.convs:
            return value
        conv = simulation.convs[name]
        shift = wanted[name] - value.mean(dim=(0, 2, 3))
        _shift(simulation, conv, shift)
        moved = value + shift.reshape(1, -1, 1, 1)
        if name in simulation.clipped:
            return moved.clamp(0, 255)
        return moved if conv.linear else moved.clamp(conv.low, conv.high)

    simulation(images, exact=True, see=note)
    simulation(images, see=correct)


def _shift(simulation: Simulation, conv: Conv, shift: Tensor) -> None:
    """Add `shift` to the bias, as long as bases and gains are still the identity."""
    simulation.biases[key(conv.name)] += shift
