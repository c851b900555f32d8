"""mmagic's layout (https://github.com/open-mmlab/mmagic, mmagic/models/editors/edsr/edsr_net.py).

BasicSR's names but for the upsampler, whose convolutions are numbered one by one. Its networks compute on
0..1, less DIV2K's mean.
"""

from edsr_int8.checkpoints import basicsr
from edsr_int8.checkpoints.convention import Convention
from edsr_int8.checkpoints.layout import Layout, State
from edsr_int8.models.description import Description


def convolution(layer: str, description: Description) -> str:
    match layer.split("."):
        case ["upsample", step]:
            return f"upsample.{step}.upsample_conv"
    return basicsr.convolution(layer, description)


def conventions(state: State) -> list[Convention]:
    return [basicsr.UNIT_RANGE, basicsr.PUBLISHED, *basicsr.OTHERS]


LAYOUT = Layout(
    source="basicsr",
    publisher="mmagic",
    networks=(("edsr", "pixelshuffle"),),
    convolution=convolution,
    conventions=conventions,
)
