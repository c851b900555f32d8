"""Networks of one channel as networks of three equal ones: the graph's image has three.

The network reads the luma of the image (BT.601, as Pillow's mode "L") and gives its output in all three
channels. An image whose channels are equal passes exactly as through the network itself.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from edsr_int8.checkpoints.convention import Convention
from edsr_int8.models.description import NO_MEAN

LUMA = (0.299, 0.587, 0.114)
HEADS = ("head.0", "conv_first")
TAILS = ("tail.1", "tail.0", "conv_last")  # of one file never two
SHIFTS = ("sub_mean", "add_mean")


def is_grey(state: Mapping[str, Tensor]) -> bool:
    """Whether the first convolution reads one channel."""
    heads = [state[f"{name}.weight"] for name in HEADS if f"{name}.weight" in state]
    return any(head.ndim == 4 and head.shape[1] == 1 for head in heads)


def in_colour(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same network with three channels, without a stored mean of three: one channel cannot use that."""
    luma = torch.tensor(LUMA).view(1, 3, 1, 1)
    wide = {name: value for name, value in state.items() if name.partition(".")[0] not in SHIFTS}
    for name in HEADS:
        if f"{name}.weight" in state:
            wide[f"{name}.weight"] = state[f"{name}.weight"] * luma
    for name in TAILS:
        for kind in ("weight", "bias"):
            if (tensor := state.get(f"{name}.{kind}")) is not None:
                wide[f"{name}.{kind}"] = torch.cat([tensor] * 3)
    for name in SHIFTS:
        if (mean := state.get(f"{name}.bias")) is not None and mean.shape == (1,):
            wide[f"{name}.bias"] = torch.cat([mean] * 3)
            wide[f"{name}.weight"] = torch.eye(3).view(3, 3, 1, 1) * state[f"{name}.weight"]
    return wide


def grey_conventions(conventions: list[Convention]) -> list[Convention]:
    """Those of three channels for one: means by their luma, and none is the likeliest."""
    means = [sum(share * x for share, x in zip(LUMA, c.rgb_mean, strict=True)) for c in conventions]
    grey = [Convention(c.img_range, (mean, mean, mean)) for c, mean in zip(conventions, means, strict=True)]
    none = [Convention(img_range, NO_MEAN) for img_range in (255, 1)]
    return list(dict.fromkeys([*none, *grey]))
