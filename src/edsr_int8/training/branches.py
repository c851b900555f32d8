"""The network that a row trains, a branch for each scale: EDSR has one, MDSR three that share their trunk."""

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import nn

from edsr_int8.models.build import build
from edsr_int8.models.description import DIV2K_MEAN, Description, scales
from edsr_int8.models.edsr import EDSR
from edsr_int8.training.state import Weights

SHARED = ("head", "body", "body_end", "tail")  # by MDSR's branches; `pre` and `upsample` are each one's own


class Branches(nn.ModuleDict):
    """Branch "2" enlarges by 2, and so on, with random weights. Batches of one scale train one branch."""

    def __init__(self, description: Description) -> None:
        first, *others = (build(replace(description, scale=scale)) for scale in scales(description))
        for other in others:
            for name in SHARED:
                setattr(other, name, getattr(first, name))
        if description.upsampler == "direct":  # begins grey: at the clip, in black, it would not learn
            grey = 255 * torch.tensor(DIV2K_MEAN).repeat_interleave(description.scale**2)
            first.tail.bias = nn.Parameter(grey)
        super().__init__({str(network.scale): network for network in (first, *others)})

    def of(self, scale: int) -> EDSR:
        network = self[str(scale)]
        assert isinstance(network, EDSR)
        return network


def by_scale(weights: Weights) -> Iterator[tuple[int, Weights]]:
    """The state dict of each branch, out of that of `Branches`."""
    for branch in dict.fromkeys(name.split(".")[0] for name in weights):
        mine = {name: tensor for name, tensor in weights.items() if name.startswith(f"{branch}.")}
        yield int(branch), {name.removeprefix(f"{branch}."): tensor for name, tensor in mine.items()}
