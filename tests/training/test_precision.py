"""bfloat16 inside the blocks against float32 throughout."""

import torch

from edsr_int8.models.build import build
from edsr_int8.models.description import Description
from edsr_int8.training.precision import keep_float32


def outputs(keep: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """float32's and autocast's picture, in grey levels."""
    torch.manual_seed(0)
    network = build(Description("edsr", 16, 4, 1, 1.0, "none"))
    image = 255 * torch.rand(1, 3, 24, 24)
    exact = network(image)
    if keep:
        keep_float32(network.head)
        keep_float32(network.tail)
    with torch.autocast("cpu", torch.bfloat16):
        return exact, network(image)


def test_the_picture_is_float32_and_close() -> None:
    (exact, kept), (_, plain) = outputs(keep=True), outputs(keep=False)
    assert kept.dtype == torch.float32
    assert (kept - exact).abs().mean() < 0.1
    assert (kept - exact).abs().mean() < 0.5 * (plain - exact).abs().mean()
