"""EDSR (Lim et al., CVPR Workshops 2017, https://arxiv.org/abs/1707.02921) in grey levels 0..255."""

import math

import numpy as np
import torch
from torch import Tensor, nn

from edsr_int8.models.complexity import convolutions, upsample_factors
from edsr_int8.models.description import NO_MEAN, Description


def conv(inputs: int, outputs: int, kernel: int = 3) -> nn.Conv2d:
    """A convolution whose output is as high and wide as its input."""
    return nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2)


class ResidualBlock(nn.Module):
    """x + res_scale * conv2(relu(conv1(x)))."""

    def __init__(self, features: int, res_scale: float, kernel: int = 3) -> None:
        super().__init__()
        self.conv1 = conv(features, features, kernel)
        self.conv2 = conv(features, features, kernel)
        self.res_scale = res_scale

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv2(torch.relu(self.conv1(x)))
        return x + (y if self.res_scale == 1.0 else y * self.res_scale)


class Upsampler(nn.ModuleList):
    """For each factor a convolution to features * factor^2 channels, then a PixelShuffle."""

    def __init__(self, features: int, scale: int) -> None:
        self.factors = upsample_factors(scale)
        super().__init__(conv(features, features * factor**2) for factor in self.factors)

    def forward(self, x: Tensor) -> Tensor:
        for layer, factor in zip(self, self.factors, strict=True):
            x = nn.functional.pixel_shuffle(layer(x), factor)
        return x


class EDSR(nn.Module):
    """float NCHW RGB 0..255 -> the same, `scale` times as high and wide; not clipped, not rounded."""

    def __init__(self, description: Description) -> None:
        super().__init__()
        d = description
        self.direct = d.upsampler == "direct"
        self.scale = d.scale
        self.head = conv(3, d.features)
        self.body = nn.ModuleList(ResidualBlock(d.features, d.res_scale) for _ in range(d.blocks))
        self.body_end = conv(d.features, d.features)
        self.upsample = Upsampler(d.features, d.scale if d.upsampler == "pixelshuffle" else 1)
        self.tail = conv(d.features, 3 * d.scale**2 if self.direct else 3)
        self.shifts_mean = not self.direct and d.rgb_mean != NO_MEAN
        self.mean: Tensor
        # Multiplied by numpy: torch takes 2 s to get ready for that on the device meta, which has no storage.
        mean = torch.tensor((np.float32(255) * np.array(d.rgb_mean, np.float32)).tolist()).view(1, 3, 1, 1)
        self.register_buffer("mean", mean, persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        x = image - self.mean if self.shifts_mean else image
        y = self.tail(self.upsample(self.trunk(self.head(x))))
        if self.direct:  # the clip belongs to the network and comes before the shuffle
            return nn.functional.pixel_shuffle(y.clamp(0, 255), self.scale)
        return y + self.mean if self.shifts_mean else y

    def trunk(self, x: Tensor) -> Tensor:
        y = x
        for block in self.body:
            y = block(y)
        return x + self.body_end(y)


def receptive_radius(description: Description) -> int:
    """How far, in input pixels, a pixel of the image can change the output; exact tiles overlap by as much.

    A convolution reaches half its kernel at its own resolution, and pixels are finer after each PixelShuffle.
    """
    return math.ceil(sum((c.kernel // 2) / c.resolution for c in convolutions(description)))
