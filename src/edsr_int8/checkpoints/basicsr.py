"""BasicSR's layout (https://github.com/XPixelGroup/BasicSR, basicsr/archs/edsr_arch.py).

Its networks take and give 0..1 and compute on (x - rgb_mean) * img_range. Neither number is in the file.
"""

from edsr_int8.checkpoints.convention import Convention
from edsr_int8.checkpoints.layout import Layout, State
from edsr_int8.models.description import DIV2K_MEAN, NO_MEAN, Description

HALF: tuple[float, float, float] = (0.5, 0.5, 0.5)
PUBLISHED = Convention(255, DIV2K_MEAN)  # of the published files, and BasicSR's default
UNIT_RANGE = Convention(1, DIV2K_MEAN)
OTHERS = (Convention(1, NO_MEAN), Convention(255, NO_MEAN), Convention(2, HALF))  # the last is -1..1


def convolution(layer: str, description: Description) -> str:
    match layer.split("."):
        case ["head"]:
            return "conv_first"
        case ["body", _, _]:
            return layer
        case ["body_end"]:
            return "conv_after_body"
        case ["upsample", step]:  # the odd numbers are PixelShuffles
            return f"upsample.{2 * int(step)}"
        case ["tail"]:
            return "conv_last"
    raise ValueError(f"{layer}: no convolution of ours")


def conventions(state: State) -> list[Convention]:
    return [PUBLISHED, UNIT_RANGE, *OTHERS]


LAYOUT = Layout(
    source="basicsr",
    publisher="BasicSR",
    networks=(("edsr", "pixelshuffle"), ("edsr", "none")),
    convolution=convolution,
    conventions=conventions,
)
