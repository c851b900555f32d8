"""Cross-layer equalization: channels reach alike far, by a limited factor. (That it is exact: test_exact.)"""

from collections.abc import Callable

import numpy as np
import torch

from edsr_int8.quantization.ir.layers import Network
from edsr_int8.quantization.rewrites.equalize import equalize
from edsr_int8.quantization.simulation.channel_statistics import channel_peaks


def test_every_channel_reaches_as_far_as_the_largest_or_four_times_as_far(
    networks: Callable[[str], Network], crops: torch.Tensor
) -> None:
    network = networks("x4")
    before = channel_peaks(network, crops)
    after = channel_peaks(equalize(network, before), crops)
    for name in ("body.0.conv1", "body.1.conv1"):
        expected = np.minimum(before[name].max(), 4 * before[name])
        np.testing.assert_allclose(after[name], expected, rtol=1e-4, atol=1e-3)
        assert (after[name] > 1.01 * before[name]).any()
    np.testing.assert_allclose(after["body_end.add"], before["body_end.add"], rtol=1e-4)
