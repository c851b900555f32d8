"""The colours that a network was trained on, and how they are folded away: our networks work on 0..255."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from edsr_int8.models.description import RGB


@dataclass(frozen=True)
class Convention:
    """The network computes on (image / 255 - rgb_mean) * img_range, and its output is turned back likewise.

    No tensor of a file says this for sure. The names are BasicSR's (basicsr/archs/edsr_arch.py).
    """

    img_range: float
    rgb_mean: RGB

    def __str__(self) -> str:
        """As in params.yaml."""
        return f"img_range: {self.img_range:g}, rgb_mean: [{', '.join(f'{x:g}' for x in self.rgb_mean)}]"


def on_grey_levels(state: Mapping[str, Tensor], img_range: float) -> dict[str, Tensor]:
    """The network of `state`, trained on 0..img_range, for 0..255: every bias times 255 / img_range.

    Exact: where input and biases are multiplied by a positive number, so are the outputs of convolutions,
    ReLU, sums and PixelShuffle.
    """
    factor = 255 / img_range
    return {name: value * factor if name.endswith(".bias") else value for name, value in state.items()}
