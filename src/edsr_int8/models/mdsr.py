"""MDSR (Lim et al. 2017, section 3.3): one of its scales, as a network of its own."""

from torch import Tensor, nn

from edsr_int8.models.complexity import PRE_BLOCKS, PRE_KERNEL
from edsr_int8.models.description import Description
from edsr_int8.models.edsr import EDSR, ResidualBlock


class MDSR(EDSR):
    """EDSR with two residual blocks of 5x5 convolutions between `head` and `body`, own to each scale.

    The long skip starts after them, as in EDSR-PyTorch's mdsr.py. Input and output as EDSR's.
    """

    def __init__(self, description: Description) -> None:
        super().__init__(description)
        features = description.features
        self.pre = nn.ModuleList(ResidualBlock(features, 1.0, PRE_KERNEL) for _ in range(PRE_BLOCKS))

    def trunk(self, x: Tensor) -> Tensor:
        for block in self.pre:
            x = block(x)
        return super().trunk(x)
