"""Parameters, MACs and FLOPs against the model card's figures and torch's counters."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from edsr_int8.models.build import build
from edsr_int8.models.complexity import card_flops_g, gmacs, macs_per_pixel, parameters
from edsr_int8.models.description import Description


def edsr(features: int, blocks: int, scale: int, res_scale: float = 1.0) -> Description:
    upsampler = "none" if scale == 1 else "pixelshuffle"
    return Description("edsr", features, blocks, scale, res_scale, upsampler)


# The card's rows: network, million parameters, FLOPs(G), and the shape that they are for.
CARD = {
    "EDSR_Mx2": (edsr(64, 16, 2), "1.370", "2403.078", (768, 1024)),
    "EDSR_x1": (edsr(32, 9, 1), "0.177", "363.469", (720, 1280)),
    "EDSR_x2": (edsr(256, 32, 2, 0.1), "40.730", "5934.700", (256, 256)),
    "EDSR_baseline_x2": (edsr(64, 16, 2), "1.370", "200.256", (256, 256)),
    "EDSR_baseline_x4": (edsr(64, 16, 4), "1.518", "289.330", (256, 256)),
    "EDSR_baseline_x3": (edsr(64, 16, 3), "1.554", "228.407", (256, 256)),
    "EDSR_x3": (edsr(256, 32, 3, 0.1), "43.680", "6369.418", (256, 256)),
    "EDSR_x4": (edsr(256, 32, 4, 0.1), "43.090", "7321.770", (256, 256)),
}
KINDS = {
    **{f"x{scale}": edsr(8, 2, scale) for scale in (1, 2, 3, 4, 8)},
    **{f"direct_x{scale}": Description("edsr", 8, 2, scale, 1.0, "direct") for scale in (2, 3, 4)},
    **{f"mdsr_x{scale}": Description("mdsr", 8, 2, scale, 1.0, "pixelshuffle") for scale in (2, 3, 4)},
}


@pytest.mark.parametrize("row", CARD)
def test_the_card_prints_these_figures(row: str) -> None:
    description, params_m, flops_g, shape = CARD[row]
    assert f"{parameters(description) / 1e6:.3f}" == params_m
    assert f"{card_flops_g(description, *shape):.3f}" == flops_g


@pytest.mark.parametrize("kind", [*CARD, *KINDS])
def test_torch_counts_the_same(kind: str) -> None:
    description = CARD[kind][0] if kind in CARD else KINDS[kind]
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        network = build(description)
        network(torch.empty(1, 3, 10, 7))
    assert macs_per_pixel(description) * 70 * 2 == counter.get_total_flops()
    assert parameters(description) == sum(p.numel() for p in network.parameters())


def test_gmacs_of_the_deblurring_network() -> None:
    # 177,475 parameters at resolution 1; the 291 biases cost no multiplication.
    assert macs_per_pixel(edsr(32, 9, 1)) == 177_475 - (1 + 2 * 9 + 1) * 32 - 3
    assert gmacs(edsr(32, 9, 1), 1000, 1000) == pytest.approx(macs_per_pixel(edsr(32, 9, 1)) / 1e3)
