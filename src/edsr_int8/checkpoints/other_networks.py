"""What a state dict looks like where it is no EDSR: networks by tensors that only they have.

After spandrel's idea of telling an architecture from the keys of its state dict
(https://github.com/chaiNNer-org/spandrel); the names are from each network's own source.
"""

import re
from collections.abc import Collection

START = r"^(?:module\.|model\.|generator\.|netG\.)*"  # of a name, after what others put before it
# The first that matches counts. A pattern is searched for in every name.
SIGNATURES = (
    ("HAT", START + r"layers\.\d+\.residual_group\.blocks\.\d+\.conv_block\."),
    ("SwinIR", START + r"layers\.\d+\.residual_group\.blocks\.\d+\.attn\."),
    ("DAT", START + r"layers\.\d+\.blocks\.\d+\.attn\."),
    ("Restormer", START + r"encoder_level1\.\d+\.attn\."),
    ("NAFNet", START + r"encoders\.\d+\.\d+\.(sca|beta)"),
    ("RRDBNet (ESRGAN, Real-ESRGAN)", r"\.(RDB|rdb)1\.conv1\."),
    ("RCAN", r"\.conv_du\.0\."),
    ("RDN", START + r"RDBs\.\d+\.convs\."),
    ("SRVGGNetCompact (Real-ESRGAN)", START + r"body\.0\.weight$"),
    ("an EDSR or SRResNet with batch normalization", r"\.running_mean$"),
    ("MSRResNet (BasicSR's SRResNet)", START + r"upconv1\."),
    ("GFPGAN", START + r"stylegan_decoder\."),
    ("EDVR or BasicVSR, which are for video", START + r"(pcd_align|spynet|forward_trunk|backward_trunk)\."),
    ("Real-CUGAN", START + r"unet1\.conv1\."),
    ("VDSR", START + r"residual_layer\.\d+\."),
    ("VGG", START + r"features\.0\.weight$"),
    ("ResNet", START + r"layer1\.0\.conv1\."),
    ("a diffusion U-Net", START + r"(diffusion_model|down_blocks|input_blocks)\."),
)


def looks_like(names: Collection[str]) -> str:
    """The name of a network that has such tensors, '' where none is known."""
    return next((network for network, mark in SIGNATURES if any(re.search(mark, n) for n in names)), "")
