"""Modules against torch's autograd; descriptions of no network."""

from dataclasses import replace

import pytest
import torch

from edsr_int8.errors import InputError
from edsr_int8.models.build import build
from edsr_int8.models.description import Description
from edsr_int8.models.edsr import receptive_radius

EDSR = Description("edsr", 2, 2, 2, 1.0, "pixelshuffle")
MDSR = replace(EDSR, network="mdsr")
NETWORKS = [
    *(replace(EDSR, scale=scale) for scale in (2, 3, 4, 8)),
    *(replace(EDSR, scale=scale, upsampler="direct") for scale in (2, 3, 4)),
    replace(EDSR, scale=1, upsampler="none"),
    *(replace(MDSR, scale=scale) for scale in (2, 3, 4)),
]


@pytest.mark.parametrize("description", NETWORKS, ids=str)
def test_receptive_radius_is_the_support_of_the_gradient(description: Description) -> None:
    network = build(description).double()
    for weight in network.parameters():  # positive: no ReLU or clip is shut, no two paths cancel
        torch.nn.init.constant_(weight, 0.2 / max(1, weight[0].numel()))
    radius = receptive_radius(description)
    centre, length = radius + 2, 2 * (radius + 2) + 1
    image = torch.full((1, 3, length, length), 200.0, dtype=torch.float64, requires_grad=True)
    first = centre * description.scale
    network(image)[..., first : first + description.scale, first : first + description.scale].sum().backward()
    assert image.grad is not None
    rows, columns = image.grad[0].abs().sum(0).nonzero(as_tuple=True)
    assert (rows.min(), rows.max()) == (centre - radius, centre + radius)
    assert (columns.min(), columns.max()) == (centre - radius, centre + radius)


@pytest.mark.parametrize("description", NETWORKS, ids=str)
def test_output_is_scale_times_as_high_and_wide(description: Description) -> None:
    output = build(description)(torch.zeros(1, 3, 5, 7))
    assert output.shape == (1, 3, 5 * description.scale, 7 * description.scale)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"network": "srcnn"}, "network: found 'srcnn'"),
        ({"features": 0}, "features: found 0"),
        ({"blocks": 0}, "blocks: found 0"),
        ({"scale": 5}, "scale: found 5"),
        ({"scale": 1}, "scale: found 1"),
        ({"upsampler": "none"}, "scale: found 2"),
        ({"upsampler": "bicubic"}, "upsampler: found 'bicubic'"),
        ({"res_scale": 0.0}, "res_scale: found 0.0"),
        ({"res_scale": float("nan")}, "res_scale: found nan"),
        ({"network": "mdsr", "res_scale": 0.1}, "res_scale: found 0.1"),
        ({"network": "mdsr", "scale": 8}, "scale: found 8"),
        ({"network": "mdsr", "upsampler": "direct"}, "upsampler: found 'direct'"),
    ],
)
def test_what_is_no_network_is_refused_by_field_and_value(change: dict, text: str) -> None:
    with pytest.raises(InputError, match=text):
        build(replace(EDSR, **change))
