"""Other networks are refused with what they look like; the names are from each one's own source."""

from pathlib import Path

import pytest
import torch

from edsr_int8.checkpoints.checkpoint import open_described, open_unknown
from edsr_int8.errors import InputError
from edsr_int8.models.description import Description

TINY = Description("edsr", 4, 1, 2, 1.0, "pixelshuffle")
SWIN = "layers.0.residual_group.blocks.0"
OTHERS = {
    "RRDBNet": ("conv_first.weight", "body.0.rdb1.conv1.weight", "conv_up1.weight", "conv_last.weight"),
    "RRDBNet (ESRGAN, Real-ESRGAN)": ("conv_first.weight", "RRDB_trunk.0.RDB1.conv1.weight"),
    "SwinIR": ("conv_first.weight", f"{SWIN}.attn.qkv.weight", "conv_last.weight"),
    "HAT": ("conv_first.weight", f"{SWIN}.attn.qkv.weight", f"{SWIN}.conv_block.cab.0.weight"),
    "RCAN": ("head.0.weight", "body.0.body.0.body.0.weight", "body.0.body.0.body.3.conv_du.0.weight"),
    "SRVGGNetCompact": ("body.0.weight", "body.1.weight", "body.2.weight"),
    "MSRResNet": ("conv_first.weight", "body.0.conv1.weight", "upconv1.weight", "conv_last.weight"),
    "an EDSR or SRResNet with batch normalization": ("head.0.weight", "body.0.body.1.running_mean"),
    "VGG": ("features.0.weight", "classifier.0.weight"),
}


@pytest.mark.parametrize("network", OTHERS)
@pytest.mark.parametrize("prefix", ["", "module."])
def test_what_is_no_edsr_is_named(network: str, prefix: str, tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    torch.save({prefix + name: torch.ones(4, 3, 3, 3) for name in OTHERS[network]}, path)
    for source in ("official", "basicsr"):
        with pytest.raises(InputError) as caught:
            open_described(path, source, TINY)
        assert f"; it looks like {network}" in str(caught.value)
    with pytest.raises(InputError) as caught:
        open_unknown(path, scale=None)
    assert str(caught.value).startswith(
        f"{path}: its tensors are no EDSR's or MDSR's; it looks like {network}"
    )
