"""The module that a row trains, with a branch for each scale: EDSR has one, MDSR three with one trunk."""

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import nn

from edsr_int8.models.build import build
from edsr_int8.models.description import DIV2K_MEAN, Description, scales
from edsr_int8.models.edsr import EDSR
from edsr_int8.training.state import Weights

SHARED = ("head", "body", "body_end", "tail")  # of MDSR; `pre` and `upsample` belong to one branch each


class Branches(nn.ModuleDict):
    """Branch "2" enlarges by 2, and so on; weights are random. A batch of one scale trains that branch."""

    def __init__(self, description: Description) -> None:
        first, *others = (build(replace(description, scale=scale)) for scale in scales(description))
        for other in others:
            for name in SHARED:
                setattr(other, name, getattr(first, name))
        if description.upsampler == "direct":  # starts from grey: its clip has no gradient at black
            grey = 255 * torch.tensor(DIV2K_MEAN).repeat_interleave(description.scale**2)
            first.tail.bias = nn.Parameter(grey)
        super().__init__({str(network.scale): network for network in (first, *others)})

    def of(self, scale: int) -> EDSR:
        network = self[str(scale)]
        assert isinstance(network, EDSR)
        return network


def by_scale(weights: Weights) -> Iterator[tuple[int, Weights]]:
    """Split the state dict of `Branches`: each scale and the state dict of its branch."""
    for branch in dict.fromkeys(name.split(".")[0] for name in weights):
        own = {name: tensor for name, tensor in weights.items() if name.startswith(f"{branch}.")}
        yield int(branch), {name.removeprefix(f"{branch}."): tensor for name, tensor in own.items()}
