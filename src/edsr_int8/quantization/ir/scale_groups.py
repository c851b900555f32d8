"""Which tensors share one scale. Every part of the quantizer asks here.

A PixelShuffle moves codes, a concatenation puts codes side by side, and a constant plane joins the image's
codes: each is on the grid of what it reads. The output image is on the image's grid. All other tensors own
their grid, which calibration finds.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from edsr_int8.quantization.ir.grid import STEPS, Grid, image_grid
from edsr_int8.quantization.ir.layers import (
    IMAGE,
    Add,
    Concat,
    ConstantPlane,
    Conv,
    Network,
    PixelShuffle,
    Taps,
    output_tensors,
)

# A constant plane shares this group's grid and is positive, so the range must reach this far above zero,
# as a share of how far it reaches below.
ROOM_OF_PLANE = 1 / 3


@dataclass(frozen=True)
class ScaleGroup:
    """Tensors on one grid.

    `owner`: the tensor that is calibrated for all of them; IMAGE: none, they are on the image's grid.
    `room`: the least share of its negative end that the range must reach above zero.
    `in_weights`: weights are written in steps of this scale, so a new scale needs new weights.
    """

    owner: str
    room: float = 0.0
    in_weights: bool = False

    @property
    def max_zero_point(self) -> int:
        """The highest zero point that leaves `room` above zero."""
        return int(STEPS / (1 + self.room))


def scale_groups(network: Network, *, unify: bool = False) -> dict[str, ScaleGroup]:
    """Tensor -> its group. `unify`: the last residual sum and its terms are one group.

    Only the last sum: there both terms reach as far as the sum does, so adding them rounds nothing. Inside
    the trunk a block adds little, and would get too coarse a grid. A long skip that is folded into the
    convolution after it leaves no sum to unify.
    """
    owners = {IMAGE: IMAGE}
    for layer in network.layers:
        moves = isinstance(layer, PixelShuffle | ConstantPlane | Concat | Taps)
        owners[layer.name] = owners[layer.inputs[0]] if moves else layer.name
    owners |= dict.fromkeys(output_tensors(network), IMAGE)
    concats = [layer for layer in network.layers if isinstance(layer, Concat)]
    taps = {x.name for x in network.layers if isinstance(x, Taps)}
    joined = {owners[concat.inputs[0]] for concat in concats if taps & set(concat.inputs)}
    for concat in concats:
        owners |= dict.fromkeys(concat.inputs, owners[concat.inputs[0]])
    if unify and not concats:
        owners |= _unified(network, owners)
    return {
        name: ScaleGroup(owner, ROOM_OF_PLANE, in_weights=True) if owner in joined else ScaleGroup(owner)
        for name, owner in owners.items()
    }


def _unified(network: Network, owners: Mapping[str, str]) -> dict[str, str]:
    sums = [layer for layer in network.layers if isinstance(layer, Add)]
    return {name: sums[-1].name for name in sums[-1].inputs if owners[name] == name} if sums else {}


def calibrated(network: Network) -> list[str]:
    """Tensors whose range only calibration can tell: results of convolutions and sums that are no image."""
    image = output_tensors(network)
    return [x.name for x in network.layers if isinstance(x, Conv | Add) and x.name not in image]


def all_grids(network: Network, grids: Mapping[str, Grid]) -> dict[str, Grid]:
    """The grid of every tensor, the image's included, from `grids` of those that are calibrated."""
    groups = scale_groups(network)
    image = image_grid(network.centre)
    return {name: image if group.owner == IMAGE else grids[group.owner] for name, group in groups.items()}
