"""What stays in float: by hand for a small network, and by the bounds that a budget must keep."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edsr_int8.errors import InputError
from edsr_int8.quantization.analysis.losses import Loss, write_losses
from edsr_int8.quantization.analysis.mixed_precision import (
    high_precision_layers,
    named_layers,
    quantized_consumers,
    within_budget,
)
from edsr_int8.quantization.ir.cost import conv_macs, high_precision_shares
from edsr_int8.quantization.ir.layers import Add, Concat, Conv, Network
from edsr_int8.quantization.ir.read_onnx import read_network
from edsr_int8.quantization.ir.scale_groups import calibrated
from edsr_int8.quantization.recipe import MODEL_CARD
from edsr_int8.quantization.rewrites.collapse_tail import collapse_tail
from edsr_int8.quantization.rewrites.fold import fold
from edsr_int8.quantization.rewrites.fold_long_skip import TAPS, fold_long_skip

Networks = Callable[[str], Network]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.floats(0, 1), st.integers(0, 1000))
def test_budget_is_never_exceeded(networks: Networks, budget: float, seed: int) -> None:
    network = networks("six")
    losses = {name: float((seed * 7919 + i * 104729) % 997) for i, name in enumerate(conv_macs(network))}
    chosen = within_budget(network, {}, losses, budget)
    assert high_precision_shares(network, chosen)[0] <= budget * (1 + 1e-9)
    assert {layer.name for layer in network.layers if isinstance(layer, Add)} <= chosen


def test_most_loss_for_its_work_comes_first(networks: Networks) -> None:
    network = networks("six")
    macs = conv_macs(network)
    losses = {name: 2.0 * count for name, count in macs.items()} | {"head": 3.0 * macs["head"]}
    losses["tail"] = 100.0  # the largest loss of the small ones, the least for its work
    chosen = within_budget(network, {}, losses, (macs["head"] + macs["body_end"]) / sum(macs.values()))
    assert "head" in chosen and "tail" not in chosen
    assert within_budget(network, {}, losses, 1) >= set(macs)


def test_which_consumers_read_the_quantized_value(networks: Networks) -> None:
    """Sums read a high-precision layer's float value; tail reads upsample.0 through a shuffle."""
    network = networks("six")
    sums = {"body.0.conv2.add", "body_end.add"}
    assert quantized_consumers(network, ()) == dict.fromkeys(calibrated(network), 1)
    assert quantized_consumers(network, sums | {"head", "body_end"}) == {
        "head": 1 / 3, "body.0.conv1": 1, "body.0.conv2": 1, "body.0.conv2.add": 0,
        "body_end": 0, "body_end.add": 1, "upsample.0": 1,
    }  # fmt: skip
    assert quantized_consumers(network, sums | {"upsample.0"})["upsample.0"] == 1
    assert quantized_consumers(network, sums | {"upsample.0", "tail"})["upsample.0"] == 0
    assert quantized_consumers(network, sums | {"upsample.0"})["body_end.add"] == 0


def test_loss_of_the_tensor_that_a_convolution_reads_counts(networks: Networks) -> None:
    network, macs = networks("six"), conv_macs(networks("six"))
    nothing = dict.fromkeys(macs, 0.0)
    budget = macs["upsample.0"] / sum(macs.values())
    assert "upsample.0" in within_budget(network, {"body_end.add": 1.0}, nothing, budget)


def test_patterns_name_convolutions_and_sums(networks: Networks) -> None:
    assert named_layers(networks("six"), ["body.*.conv?", "*.add"]) == {
        "body.0.conv1", "body.0.conv2", "body.0.conv2.add", "body_end.add",
    }  # fmt: skip
    refusal = r"high_precision_layers: 'trunk\.\*' names no layer; there are head, body"
    with pytest.raises(InputError, match=refusal):
        named_layers(networks("six"), ["head", "trunk.*"])


def test_convolution_of_a_concatenation_stays_in_integers(networks: Networks) -> None:
    """A concatenation exists as codes only, so what it alone reads is read quantized, float or not."""
    folded = fold_long_skip(networks("six"))
    losses = {x.name: 1.0 for x in folded.layers if isinstance(x, Conv)}
    chosen = within_budget(folded, {}, losses, 1.0)
    assert set(losses) - chosen == {"upsample.0"} and TAPS not in chosen
    assert quantized_consumers(folded, chosen)["body_end"] == 1
    assert [x.inputs for x in folded.layers if isinstance(x, Concat)] == [("body_end", TAPS)]


@pytest.mark.parametrize(("name", "consumer"), [("x4", "upsample.0"), ("x1", "tail"), ("direct", "tail")])
def test_named_layers_of_a_long_skip_that_is_folded(networks: Networks, name: str, consumer: str) -> None:
    """Its sum is no layer any more, unless the whole skip is named: then it is not folded."""
    recipe = replace(MODEL_CARD, fold_long_skip=True)
    for patterns, kept in (
        ((consumer,), {consumer}),
        ((consumer, "body_end.add"), {consumer}),
        ((consumer, "body_end.add", "head"), {consumer, "body_end.add", "head"}),
    ):
        wanted = replace(recipe, high_precision_layers=patterns)
        assert high_precision_layers(networks(name), wanted, Path("none")) == kept


def test_budget_reaches_further_with_a_collapsed_tail(
    real_graphs: Callable[[str], Path], tmp_path: Path
) -> None:
    """Of losses measured on the network as it was: both convolutions fit where one did not."""
    network, losses = fold(read_network(real_graphs("r8f64"))), tmp_path / "losses.csv"
    rows = [Loss(name, "tensor", 0.1) for name in calibrated(network)]
    rows += [Loss(name, "weights", 0.1) for name in conv_macs(network)]
    write_losses(losses, [Loss("all", "all", 1), *rows])
    both, recipe = {"upsample.0", "tail"}, replace(MODEL_CARD, high_precision_budget=0.15)
    assert not both <= high_precision_layers(network, recipe, losses)
    collapsed = collapse_tail(network)
    chosen = high_precision_layers(collapsed, recipe, losses)
    assert both <= chosen and 0.1 < high_precision_shares(collapsed, chosen)[0] <= 0.15
