"""Multiply-accumulates and the shares above 8 bits, by hand: x2, six features, one block."""

from collections.abc import Callable

import pytest

from edsr_int8.quantization.ir.cost import conv_macs, high_precision_shares
from edsr_int8.quantization.ir.layers import Network
from edsr_int8.quantization.rewrites.fold_long_skip import TAPS, fold_long_skip

Networks = Callable[[str], Network]


def test_shares_by_hand(networks: Networks) -> None:
    """For a pixel of the image, its plane counted."""
    macs = {
        "head": 9 * 4 * 6, "body.0.conv1": 9 * 36, "body.0.conv2": 9 * 36, "body_end": 9 * 36,
        "upsample.0": 9 * 6 * 24, "tail": 4 * 9 * 6 * 3,
    }  # fmt: skip
    network = networks("six")
    assert conv_macs(network) == macs
    found = high_precision_shares(network, {"tail", "body_end.add"})
    elements = {"tail": 12, "body_end.add": 6}
    rest = 4 * 6 + 6 + 24  # head, body.0 and body_end, the block's sum, upsample.0
    high = 4 * sum(elements.values())
    assert found == pytest.approx((macs["tail"] / sum(macs.values()), high / (high + rest)))
    assert high_precision_shares(network, ()) == (0, 0)


def test_taps_cost_what_their_convolution_does(networks: Networks) -> None:
    macs = conv_macs(fold_long_skip(networks("six")))
    assert macs[TAPS] == 9 * 4 * 36 and macs["upsample.0"] == 9 * (6 + 36) * 24
