"""EDSR-PyTorch's names (https://github.com/sanghyun-son/EDSR-PyTorch, src/model/{edsr,mdsr,common}.py).

MDSR files hold the branches of x2, x3 and x4; one of them is taken. The `direct` up-sampler has no
counterpart there: its files use the same names, without the mean shift.
"""

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from edsr_int8.checkpoints.match import Shape, foreign_shapes, require_match, shapes, tensor_names
from edsr_int8.errors import InputError
from edsr_int8.models.description import DIV2K_MEAN, Description, scales

MEAN_SHAPES: dict[str, Shape] = {"weight": (3, 3, 1, 1), "bias": (3,)}
MEAN_TOLERANCE = 1e-3  # grey levels


def from_foreign(state: Mapping[str, Tensor], description: Description) -> dict[str, Tensor]:
    """Our state dict. InputError lists the tensors that do not fit, or says that the mean is another one."""
    require_match(shapes(state), expected_shapes(description))
    for name, shift in _mean_shift(description).items():
        _require_mean(name, state[name], shift)
    return {ours: state[theirs] for ours, theirs in tensor_names(description, foreign_name).items()}


def to_foreign(state: Mapping[str, Tensor], description: Description) -> dict[str, Tensor]:
    """The state dict that EDSR-PyTorch would have saved. ValueError for MDSR: one scale is not the whole."""
    if description.network == "mdsr":
        raise ValueError("an MDSR file holds three scales; the weights of one do not make it")
    names = tensor_names(description, foreign_name)
    return _mean_shift(description) | {theirs: state[ours] for ours, theirs in names.items()}


def mdsr_to_foreign(
    states: Mapping[int, Mapping[str, Tensor]], description: Description
) -> dict[str, Tensor]:
    """The whole MDSR file, from our state dicts by scale; of the tensors that they share any one serves."""
    foreign = _mean_shift(description)
    for scale, state in states.items():
        names = tensor_names(replace(description, scale=scale), foreign_name)
        foreign |= {theirs: state[ours] for ours, theirs in names.items()}
    return foreign


def expected_shapes(description: Description) -> dict[str, Shape]:
    """Every tensor of the file, those of MDSR's other scales included. InputError: no such network here."""
    expected = {name: tuple(shift.shape) for name, shift in _mean_shift(description).items()}
    for scale in scales(description):
        expected |= foreign_shapes(replace(description, scale=scale), foreign_name)
    return expected


def foreign_name(layer: str, description: Description) -> str:
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
        case ["upsample", step]:  # a PixelShuffle after each convolution takes the odd numbers
            return f"{f'upsample.{branch}' if mdsr else 'tail.0'}.{2 * int(step)}"
        case ["tail"]:
            return "tail.0" if mdsr or description.upsampler == "direct" else "tail.1"
    raise ValueError(f"{layer}: no layer of ours")


def _index(half: str) -> int:
    return {"conv1": 0, "conv2": 2}[half]  # 1 is the ReLU


def _mean_shift(description: Description) -> dict[str, Tensor]:
    """The 1x1 convolutions that subtract the mean and add it again."""
    if description.upsampler == "direct":
        return {}
    weight, mean = torch.eye(3).view(3, 3, 1, 1), 255 * torch.tensor(DIV2K_MEAN)
    return {
        "sub_mean.weight": weight,
        "sub_mean.bias": -mean,
        "add_mean.weight": weight.clone(),
        "add_mean.bias": mean,
    }


def _require_mean(name: str, found: Tensor, expected: Tensor) -> None:
    # A checkpoint in half precision has rounded the mean, too; its network was trained with the exact one.
    tolerance = MEAN_TOLERANCE if name.endswith("bias") else MEAN_TOLERANCE / 255
    rounded = (expected, expected.half().float(), expected.bfloat16().float())
    if not any(torch.allclose(found, value, rtol=0, atol=tolerance) for value in rounded):
        values = ", ".join(f"{value:g}" for value in found.flatten().tolist())
        wanted = ", ".join(f"{value:g}" for value in expected.flatten().tolist())
        raise InputError(f"{name} is {values}; only DIV2K's mean in the range 0..255 is supported: {wanted}")
