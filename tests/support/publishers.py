"""The publishers' forward passes, written out over their tensor names, apart from the code under test."""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from foreign_checkpoints import UPSAMPLING
from torch import Tensor

from edsr_int8.models.description import Description

State = Mapping[str, Tensor]
DIV2K = (0.4488, 0.4371, 0.4040)


def conv(x: Tensor, state: State, name: str) -> Tensor:
    weight = state[f"{name}.weight"].to(x.dtype)
    return F.conv2d(x, weight, state[f"{name}.bias"].to(x.dtype), padding=weight.shape[-1] // 2)


def upsampled(x: Tensor, state: State, name: str, scale: int) -> Tensor:
    for step, factor in enumerate(UPSAMPLING[scale]):
        x = F.pixel_shuffle(conv(x, state, f"{name}.{2 * step}"), factor)
    return x


def official_block(x: Tensor, state: State, name: str, res_scale: float) -> Tensor:
    return conv(F.relu(conv(x, state, f"{name}.body.0")), state, f"{name}.body.2").mul(res_scale) + x


def official_body(x: Tensor, state: State, d: Description) -> Tensor:
    y = x
    for i in range(d.blocks):
        y = official_block(y, state, f"body.{i}", d.res_scale)
    return conv(y, state, f"body.{d.blocks}") + x


def official_forward(x: Tensor, state: State, d: Description, *, uses_mean: bool = True) -> Tensor:
    """EDSR-PyTorch, in the range that the network was trained on. super-image does not use its mean."""
    if d.upsampler == "direct":
        x = official_body(conv(x, state, "head.0"), state, d)
        return F.pixel_shuffle(conv(x, state, "tail.0").clip(0, 255), d.scale)
    x = conv(x, state, "sub_mean") if uses_mean else x
    x = official_body(conv(x, state, "head.0"), state, d)
    x = conv(upsampled(x, state, "tail.0", d.scale), state, "tail.1")
    return conv(x, state, "add_mean") if uses_mean else x


def official_mdsr_forward(x: Tensor, state: State, d: Description) -> Tensor:
    branch = (2, 3, 4).index(d.scale)
    x = conv(conv(x, state, "sub_mean"), state, "head.0")
    for block in (0, 1):
        x = official_block(x, state, f"pre_process.{branch}.{block}", 1.0)
    x = official_body(x, state, d)
    x = conv(upsampled(x, state, f"upsample.{branch}", d.scale), state, "tail.0")
    return conv(x, state, "add_mean")


def basicsr_forward(
    x: Tensor, state: State, d: Description, *, img_range: float = 255, rgb_mean: tuple[float, ...] = DIV2K
) -> Tensor:
    """Takes and gives 0..1. mmagic's is the same with img_range 1, but for the names of the upsampler."""
    mean = torch.tensor(rgb_mean, dtype=x.dtype).view(1, -1, 1, 1)
    x = conv((x - mean) * img_range, state, "conv_first")
    y = x
    for i in range(d.blocks):
        y = y + conv(F.relu(conv(y, state, f"body.{i}.conv1")), state, f"body.{i}.conv2") * d.res_scale
    x = conv(y, state, "conv_after_body") + x
    if "upsample.0.upsample_conv.weight" in state:
        for step, factor in enumerate(UPSAMPLING[d.scale]):
            x = F.pixel_shuffle(conv(x, state, f"upsample.{step}.upsample_conv"), factor)
    else:
        x = upsampled(x, state, "upsample", d.scale)
    return conv(x, state, "conv_last") / img_range + mean
