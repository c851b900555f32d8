"""Checkpoints with the publishers' own names and shapes, for tests that need no published ones.

The names are spelled out here from the publishers' source, apart from the code that is tested:
https://github.com/sanghyun-son/EDSR-PyTorch/tree/master/src/model,
https://github.com/XPixelGroup/BasicSR/blob/master/basicsr/archs/edsr_arch.py,
https://github.com/open-mmlab/mmagic/blob/main/mmagic/models/editors/edsr/edsr_net.py.
"""

import math
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from edsr_int8.models.description import Description

MEAN = (114.444, 111.4605, 103.02)  # 255 x DIV2K's
UPSAMPLING = {1: (), 2: (2,), 3: (3,), 4: (2, 2), 8: (2, 2, 2)}
TRAINED = Path(__file__).resolve().parents[1] / "checkpoints" / "trained"

State = dict[str, Tensor]


def foreign_state(source: str, description: Description, seed: int) -> dict[str, Any]:
    """What the publisher's file of a network holds, with random weights."""
    if source == "basicsr":
        return {"params": basicsr_state(description, seed)}
    make = official_mdsr_state if description.network == "mdsr" else official_state
    return make(description, seed)


def official_state(description: Description, seed: int, colours: int = 3) -> State:
    """An EDSR of EDSR-PyTorch; with `direct` the same names without mean shift and upsampler."""
    d, draw = description, Draw(seed)
    direct = d.upsampler == "direct"
    state = {} if direct else mean_shift()
    state |= draw.conv("head.0", colours, d.features)
    state |= official_body(draw, d)
    if direct:
        return state | draw.conv("tail.0", d.features, colours * d.scale**2)
    return state | draw.upsampling("tail.0", d) | draw.conv("tail.1", d.features, colours)


def official_mdsr_state(description: Description, seed: int) -> State:
    """An MDSR of EDSR-PyTorch with its three scales; the description's own scale does not matter."""
    d, draw = description, Draw(seed)
    state = mean_shift() | draw.conv("head.0", 3, d.features)
    for branch in range(3):
        for block in range(2):
            for half in (0, 2):
                name = f"pre_process.{branch}.{block}.body.{half}"
                state |= draw.conv(name, d.features, d.features, kernel=5)
    state |= official_body(draw, d)
    for branch, scale in enumerate((2, 3, 4)):
        branch_of = Description(d.network, d.features, d.blocks, scale, 1.0, "pixelshuffle")
        state |= draw.upsampling(f"upsample.{branch}", branch_of)
    return state | draw.conv("tail.0", d.features, 3)


def basicsr_state(description: Description, seed: int, colours: int = 3) -> State:
    """An EDSR of BasicSR, as it stands under `params`."""
    d, draw = description, Draw(seed)
    state = draw.conv("conv_first", colours, d.features)
    for i in range(d.blocks):
        state |= draw.conv(f"body.{i}.conv1", d.features, d.features)
        state |= draw.conv(f"body.{i}.conv2", d.features, d.features)
    state |= draw.conv("conv_after_body", d.features, d.features)
    return state | draw.upsampling("upsample", d) | draw.conv("conv_last", d.features, colours)


def mmagic_state(description: Description, seed: int) -> State:
    """An EDSR of mmagic, without its prefix `generator.`: BasicSR's but for its upsampler."""
    return {mmagic_name(name): tensor for name, tensor in basicsr_state(description, seed).items()}


def mmagic_name(name: str) -> str:
    """Of a tensor that BasicSR calls `name`."""
    match name.split("."):
        case ["upsample", number, kind]:
            return f"upsample.{int(number) // 2}.upsample_conv.{kind}"
    return name


def trained(name: str, publisher: str) -> State:
    """A file of tests/checkpoints/trained in the names of `publisher`, without a mean shift."""
    state = load_file(TRAINED / f"{name}.safetensors")
    blocks = sum(key.endswith("conv1.weight") for key in state)
    rename = official_names(blocks) if publisher == "official" else basicsr_names(blocks)
    foreign = {f"{rename[key.rpartition('.')[0]]}.{key.rpartition('.')[2]}": state[key] for key in state}
    return {mmagic_name(key): foreign[key] for key in foreign} if publisher == "mmagic" else foreign


def official_names(blocks: int) -> dict[str, str]:
    """Our convolutions -> EDSR-PyTorch's, of x1 and x2."""
    names = {"head": "head.0", "body_end": f"body.{blocks}", "upsample.0": "tail.0.0", "tail": "tail.1"}
    for i in range(blocks):
        names |= {f"body.{i}.conv1": f"body.{i}.body.0", f"body.{i}.conv2": f"body.{i}.body.2"}
    return names


def basicsr_names(blocks: int) -> dict[str, str]:
    """Our convolutions -> BasicSR's, of x1 and x2."""
    names = {f"body.{i}.{half}": f"body.{i}.{half}" for i in range(blocks) for half in ("conv1", "conv2")}
    ends = {"head": "conv_first", "body_end": "conv_after_body", "tail": "conv_last"}
    return names | ends | {"upsample.0": "upsample.0"}


def official_body(draw: "Draw", d: Description) -> State:
    state: State = {}
    for i in range(d.blocks):
        state |= draw.conv(f"body.{i}.body.0", d.features, d.features)
        state |= draw.conv(f"body.{i}.body.2", d.features, d.features)
    return state | draw.conv(f"body.{d.blocks}", d.features, d.features)


def mean_shift(mean: tuple[float, ...] = MEAN) -> State:
    """`mean` in the network's own range."""
    state: State = {}
    for name, sign in (("sub_mean", -1), ("add_mean", 1)):
        state[f"{name}.weight"] = torch.eye(3).view(3, 3, 1, 1)
        state[f"{name}.bias"] = sign * torch.tensor(mean)
    return state


class Draw:
    """Seeded convolutions, uniform in +-1 / sqrt(fan in) as torch starts them."""

    def __init__(self, seed: int) -> None:
        self.generator = torch.Generator().manual_seed(seed)

    def conv(self, name: str, inputs: int, outputs: int, kernel: int = 3) -> State:
        bound = 1 / math.sqrt(inputs * kernel**2)
        shapes = {f"{name}.weight": (outputs, inputs, kernel, kernel), f"{name}.bias": (outputs,)}
        return {
            tensor: torch.empty(shape).uniform_(-bound, bound, generator=self.generator)
            for tensor, shape in shapes.items()
        }

    def upsampling(self, name: str, d: Description) -> State:
        state: State = {}
        for step, factor in enumerate(UPSAMPLING[d.scale]):
            state |= self.conv(f"{name}.{2 * step}", d.features, d.features * factor**2)
        return state
