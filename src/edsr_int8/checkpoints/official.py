"""EDSR-PyTorch's layout (https://github.com/sanghyun-son/EDSR-PyTorch, src/model/{edsr,mdsr,common}.py).

Files of MDSR hold the branches of x2, x3 and x4. The `direct` upsampler is not EDSR-PyTorch's: files of such
networks, MLPerf Mobile's among them, have its names and no mean shift. super-image has the same names, stores
a mean, and never uses it (https://github.com/eugenesiow/super-image, models/edsr/modeling_edsr.py).
"""

import torch
from torch import Tensor

from edsr_int8.checkpoints.convention import Convention
from edsr_int8.checkpoints.layout import Layout, Shape, State
from edsr_int8.errors import InputError
from edsr_int8.models.description import DIV2K_MEAN, NO_MEAN, RGB, Description

MEAN_SHAPES: dict[str, Shape] = {
    f"{shift}_mean.{kind}": shape
    for shift in ("sub", "add")
    for kind, shape in (("weight", (3, 3, 1, 1)), ("bias", (3,)))
}
TOLERANCE = 1e-5  # of a mean in 0..1: 0.0026 grey levels
RANGES = (255, 1, 2)  # the last is -1..1
MEANS = (0.25, 0.75)  # of photographs, in 0..1: so a stored mean tells its range


def convolution(layer: str, description: Description) -> str:
    mdsr = description.network == "mdsr"
    branch = description.scale - 2
    match layer.split("."):
        case ["head"]:
            return "head.0"
        case ["pre", k, half]:
            return f"pre_process.{branch}.{k}.body.{_index(half)}"
        case ["body", i, half]:
            return f"body.{i}.body.{_index(half)}"
        case ["body_end"]:
            return f"body.{description.blocks}"
        case ["upsample", step]:  # the odd numbers are PixelShuffles
            return f"{f'upsample.{branch}' if mdsr else 'tail.0'}.{2 * int(step)}"
        case ["tail"]:
            return "tail.0" if mdsr or description.upsampler == "direct" else "tail.1"
    raise ValueError(f"{layer}: no convolution of ours")


def _index(half: str) -> int:
    return {"conv1": 0, "conv2": 2}[half]  # 1 is the ReLU


def mean_shift(description: Description) -> dict[str, Tensor]:
    """The 1x1 convolutions that subtract the mean, in grey levels, and add it again."""
    if description.upsampler == "direct":
        return {}
    weight, mean = torch.eye(3).view(3, 3, 1, 1), 255 * torch.tensor(description.rgb_mean)
    return {
        "sub_mean.weight": weight,
        "sub_mean.bias": -mean,
        "add_mean.weight": weight.clone(),
        "add_mean.bias": mean,
    }


def conventions(state: State) -> list[Convention]:
    """What the stored mean says, then none: super-image stores one that it never uses."""
    unused = [Convention(255, NO_MEAN), Convention(1, NO_MEAN)]
    if not any(name in state for name in MEAN_SHAPES):
        return unused
    stored = _stored_mean(state)
    img_range = next((r for r in RANGES if MEANS[0] < max(stored) / r < MEANS[1]), 255)
    used = Convention(img_range, _exact([x / img_range for x in stored]))
    return [used, *reversed(unused)] if img_range == 255 else [used]


def _stored_mean(state: State) -> list[float]:
    """The mean in the network's own range. InputError: these tensors do something else, too."""
    for name, shape in MEAN_SHAPES.items():
        if name not in state or tuple(state[name].shape) != shape:
            raise InputError(f"{name} is missing, or is not of shape {shape}, as EDSR-PyTorch's always is")
    for name in ("sub_mean.weight", "add_mean.weight"):
        if not _close(state[name], torch.eye(3).view(3, 3, 1, 1)):
            raise InputError(f"{name} does more than shift colours, which EDSR-PyTorch's never does")
    if not _close(-state["sub_mean.bias"], state["add_mean.bias"]):
        raise InputError("add_mean.bias is not what sub_mean.bias subtracts")
    return [float(x) for x in state["add_mean.bias"]]


def _close(found: Tensor, expected: Tensor) -> bool:
    return torch.allclose(found, expected, rtol=0, atol=TOLERANCE * max(1.0, float(expected.abs().max())))


def _exact(mean: list[float]) -> RGB:
    """DIV2K's mean where that is meant: files in half precision round it."""
    exact = torch.tensor(DIV2K_MEAN, dtype=torch.float64)
    found = torch.tensor(mean, dtype=torch.float64)
    for kind in (torch.float32, torch.float16, torch.bfloat16):
        for factor in (1, 255):
            rounded = (exact * factor).to(kind).double() / factor
            if torch.allclose(found, rounded, rtol=0, atol=TOLERANCE):
                return DIV2K_MEAN
    red, green, blue = mean
    return red, green, blue


LAYOUT = Layout(
    source="official",
    publisher="EDSR-PyTorch",
    networks=(("edsr", "pixelshuffle"), ("edsr", "direct"), ("edsr", "none"), ("mdsr", "pixelshuffle")),
    convolution=convolution,
    conventions=conventions,
    mean_shift=mean_shift,
)
