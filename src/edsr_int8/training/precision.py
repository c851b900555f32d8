"""bfloat16 inside the residual blocks; the first and last convolution and the residual sums stay float32."""

import torch
from torch import Tensor, nn

from edsr_int8.training.matrix_products import convolve


def keep_float32(layer: nn.Conv2d) -> None:
    """Make `layer` compute in float32 inside autocast.

    The trunk adds to the output of `head`, so with `head` in float32 all residual sums are float32. `tail`
    makes the picture, which the 8 significant bits of bfloat16 would round to whole grey levels.
    """
    inner = layer.forward  # replaced on the object, not in a wrapper: names of weights stay the same

    def forward(x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            return convolve(layer, x.float()) if x.is_cuda else inner(x.float())

    layer.forward = forward  # type: ignore[method-assign, assignment]
