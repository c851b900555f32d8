"""Bias correction: what rounding does to a convolution's output on average is taken back in its bias.

Nagel et al. 2019, section 4.2 (https://arxiv.org/abs/1906.04721).
"""

import torch
from torch import Tensor

from edsr_int8.quantization.recipe import Recipe
from edsr_int8.quantization.simulation.crops import Crops
from edsr_int8.quantization.simulation.parameters import key
from edsr_int8.quantization.simulation.quantsim import ALL, NOTHING, TENSORS, Simulation
from edsr_int8.quantization.state import QuantizedNetwork

CROPS = 64  # at 32x32 pixels, 65,536 values for the mean of each channel


@torch.no_grad()
def correct_biases(state: QuantizedNetwork, recipe: Recipe, crops: Crops) -> QuantizedNetwork:
    """Biases with which every convolution has its float mean per channel on the training crops.

    One pass, layer by layer: each correction sees those before it. After a Relu or a clip the mean is that
    of the clipped values, so there the correction is a first-order one. Where GPTQ rounds the weights later,
    only the rounding of tensors is corrected.
    """
    images = crops.training[:CROPS].float()
    simulation = Simulation(state, unify=recipe.unify_scales).to(images.device)
    wanted: dict[str, Tensor] = {}

    def note(name: str, value: Tensor) -> Tensor:
        wanted[name] = value.mean(dim=(0, 2, 3))
        return value

    def correct(name: str, value: Tensor) -> Tensor:
        if name not in simulation.convs:
            return value
        shift = wanted[name] - value.mean(dim=(0, 2, 3))
        simulation.biases[key(name)] += shift  # exact, as bases and gains are the identity here
        moved = value + shift.reshape(1, -1, 1, 1)
        return simulation.clip(name, moved)

    simulation(images, rounding=NOTHING, see=note)
    simulation(images, rounding=TENSORS if recipe.gptq else ALL, see=correct)
    return simulation.result()
