"""BasicSR's names (https://github.com/XPixelGroup/BasicSR, basicsr/archs/edsr_arch.py).

Its network takes and gives 0..1, but computes in 0..255: (x / 255 - mean) * 255 is x - 255 * mean, so the
weights are ours as they are. The mean is no tensor of the file.
"""

from collections.abc import Mapping

from torch import Tensor

from edsr_int8.checkpoints.match import Shape, foreign_shapes, require_match, shapes, tensor_names
from edsr_int8.errors import InputError
from edsr_int8.models.description import Description


def from_foreign(state: Mapping[str, Tensor], description: Description) -> dict[str, Tensor]:
    """Our state dict. InputError lists the tensors that do not fit."""
    require_match(shapes(state), expected_shapes(description))
    return {ours: state[theirs] for ours, theirs in tensor_names(description, foreign_name).items()}


def to_foreign(state: Mapping[str, Tensor], description: Description) -> dict[str, Tensor]:
    """The state dict that BasicSR would have saved, to be put under `params`."""
    expected_shapes(description)  # refuses what BasicSR does not have
    return {theirs: state[ours] for ours, theirs in tensor_names(description, foreign_name).items()}


def expected_shapes(description: Description) -> dict[str, Shape]:
    """Every tensor of the file. InputError: no such network here."""
    if description.network != "edsr" or description.upsampler == "direct":
        what = f"network {description.network} with upsampler {description.upsampler}"
        raise InputError(f"BasicSR has no {what}; use source official")
    return foreign_shapes(description, foreign_name)


def foreign_name(layer: str, description: Description) -> str:
    match layer.split("."):
        case ["head"]:
            return "conv_first"
        case ["body", _, _]:
            return layer
        case ["body_end"]:
            return "conv_after_body"
        case ["upsample", step]:  # a PixelShuffle after each convolution takes the odd numbers
            return f"upsample.{2 * int(step)}"
        case ["tail"]:
            return "conv_last"
    raise ValueError(f"{layer}: no layer of ours")
