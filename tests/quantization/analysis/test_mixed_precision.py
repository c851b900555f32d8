"""What stays in float: by hand for a small network, and by the bounds that a budget must keep."""

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edsr_int8.errors import InputError
from edsr_int8.quantization.analysis.mixed_precision import (
    conv_macs,
    named_layers,
    rounded,
    shares,
    within_budget,
)
from edsr_int8.quantization.ir.layers import Network, Sum, measured

Networks = Callable[[str], Network]


def test_shares_by_hand(networks: Networks) -> None:
    """x2, six features, one block; for a pixel of the image, its plane counted."""
    macs = {
        "head": 9 * 4 * 6, "body.0.conv1": 9 * 36, "body.0.conv2": 9 * 36, "body_end": 9 * 36,
        "upsample.0": 9 * 6 * 24, "tail": 4 * 9 * 6 * 3,
    }  # fmt: skip
    network = networks("six")
    assert conv_macs(network) == macs
    found = shares(network, {"tail", "body_end.add"})
    elements = {"tail": 12, "body_end.add": 6}
    rest = 4 * 6 + 6 + 24  # head, body.0 and body_end, the block's sum, upsample.0
    high = 4 * sum(elements.values())
    assert found == pytest.approx((macs["tail"] / sum(macs.values()), high / (high + rest)))
    assert shares(network, ()) == (0, 0)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.floats(0, 1), st.integers(0, 1000))
def test_budget_is_never_exceeded(networks: Networks, budget: float, seed: int) -> None:
    network = networks("six")
    losses = {name: float((seed * 7919 + i * 104729) % 997) for i, name in enumerate(conv_macs(network))}
    chosen = within_budget(network, {}, losses, budget)
    assert shares(network, chosen)[0] <= budget * (1 + 1e-9)
    assert {layer.name for layer in network.layers if isinstance(layer, Sum)} <= chosen


def test_most_loss_for_its_work_comes_first(networks: Networks) -> None:
    network = networks("six")
    macs = conv_macs(network)
    losses = {name: 2.0 * count for name, count in macs.items()} | {"head": 3.0 * macs["head"]}
    losses["tail"] = 100.0  # the largest loss of the small ones, the least for its work
    chosen = within_budget(network, {}, losses, (macs["head"] + macs["body_end"]) / sum(macs.values()))
    assert "head" in chosen and "tail" not in chosen
    assert within_budget(network, {}, losses, 1) >= set(macs)


def test_who_reads_a_tensor_rounded(networks: Networks) -> None:
    """Sums read whole what a float layer gives; tail reads upsample.0 through a shuffle."""
    network = networks("six")
    sums = {"body.0.conv2.add", "body_end.add"}
    assert rounded(network, ()) == dict.fromkeys(measured(network), 1)
    assert rounded(network, sums | {"head", "body_end"}) == {
        "head": 1 / 3, "body.0.conv1": 1, "body.0.conv2": 1, "body.0.conv2.add": 0,
        "body_end": 0, "body_end.add": 1, "upsample.0": 1,
    }  # fmt: skip
    assert rounded(network, sums | {"upsample.0"})["upsample.0"] == 1
    assert rounded(network, sums | {"upsample.0", "tail"})["upsample.0"] == 0
    assert rounded(network, sums | {"upsample.0"})["body_end.add"] == 0


def test_the_loss_of_what_a_convolution_reads_counts(networks: Networks) -> None:
    network, macs = networks("six"), conv_macs(networks("six"))
    nothing = dict.fromkeys(macs, 0.0)
    budget = macs["upsample.0"] / sum(macs.values())
    assert "upsample.0" in within_budget(network, {"body_end.add": 1.0}, nothing, budget)


def test_patterns_name_convolutions_and_sums(networks: Networks) -> None:
    assert named_layers(networks("six"), ["body.*.conv?", "*.add"]) == {
        "body.0.conv1", "body.0.conv2", "body.0.conv2.add", "body_end.add",
    }  # fmt: skip
    with pytest.raises(InputError, match=r"float_layers: 'trunk\.\*' names no layer; there are head, body"):
        named_layers(networks("six"), ["head", "trunk.*"])
