"""Whose scale is a tensor's: answers by hand for every kind of network."""

from collections.abc import Callable
from pathlib import Path

import pytest

from edsr_int8.quantization.ir.grid import IMAGE_GRID, Grid
from edsr_int8.quantization.ir.layers import IMAGE, Network
from edsr_int8.quantization.ir.read_onnx import read_network
from edsr_int8.quantization.ir.scale_groups import all_grids, calibrated, scale_groups
from edsr_int8.quantization.rewrites.collapse_tail import collapse_tail
from edsr_int8.quantization.rewrites.fold import PLANE
from edsr_int8.quantization.rewrites.fold_long_skip import CONCAT, TAPS, fold_long_skip

Networks = Callable[[str], Network]
WITH_SKIP = ["x1", "x4", "direct", "six"]


def trunk(*blocks: str) -> list[str]:
    inner = [f"{block}.{layer}" for block in blocks for layer in ("conv1", "conv2", "conv2.add")]
    return ["head", *inner, "body_end", "body_end.add"]


# By network: the tensors that are calibrated, the shuffled ones and whom they follow, those of the image.
CALIBRATED = {
    "x1": trunk("body.0", "body.1"),
    "x4": [*trunk("body.0", "body.1"), "upsample.0", "upsample.1"],
    "direct": trunk("body.0", "body.1"),
    "mdsr": [*trunk("pre.0", "pre.1", "body.0"), "upsample.0"],
    "six": [*trunk("body.0"), "upsample.0"],
}
SHUFFLED = {
    "x4": {"upsample.0.shuffle": "upsample.0", "upsample.1.shuffle": "upsample.1"},
    "mdsr": {"upsample.0.shuffle": "upsample.0"},
    "six": {"upsample.0.shuffle": "upsample.0"},
}
OF_THE_IMAGE = {name: {IMAGE, PLANE, "tail"} for name in ("x1", "x4", "mdsr", "six")}
OF_THE_IMAGE["direct"] = {IMAGE, "tail", "tail.shuffle"}  # no mean, so no plane


def owners(network: Network, *, unify: bool = False) -> dict[str, str]:
    return {name: group.owner for name, group in scale_groups(network, unify=unify).items()}


def by_hand(name: str) -> dict[str, str]:
    own = {tensor: tensor for tensor in CALIBRATED[name]}
    return own | SHUFFLED.get(name, {}) | dict.fromkeys(OF_THE_IMAGE[name], IMAGE)


@pytest.mark.parametrize("name", CALIBRATED)
def test_shuffled_tensors_follow_and_the_image_is_on_its_own_grid(networks: Networks, name: str) -> None:
    assert owners(networks(name)) == by_hand(name)
    assert calibrated(networks(name)) == CALIBRATED[name]


def test_before_folding_the_same_tensors_are_calibrated(float_graphs: Callable[[str], Path]) -> None:
    assert calibrated(read_network(float_graphs("direct"))) == CALIBRATED["direct"]


@pytest.mark.parametrize("name", CALIBRATED)
def test_unified_terms_of_the_last_sum_follow_it(networks: Networks, name: str) -> None:
    """In MDSR its first term is the sum of the blocks before, which the long skip reads."""
    terms = ["pre.1.conv2.add" if name == "mdsr" else "head", "body_end"]
    assert owners(networks(name), unify=True) == by_hand(name) | dict.fromkeys(terms, "body_end.add")


@pytest.mark.parametrize("name", WITH_SKIP)
@pytest.mark.parametrize("unify", [False, True])
def test_folded_long_skip_is_on_the_grid_of_the_trunk(networks: Networks, name: str, unify: bool) -> None:
    """Its sum is gone, so none is unified; a new scale needs new weights, and room for the plane."""
    folded = fold_long_skip(networks(name))
    expected = by_hand(name) | {PLANE: IMAGE, TAPS: "body_end", CONCAT: "body_end"}
    del expected["body_end.add"]
    assert owners(folded, unify=unify) == expected
    in_weights = {n for n, group in scale_groups(folded).items() if group.in_weights}
    assert in_weights == {"body_end", TAPS, CONCAT}
    assert {n for n, group in scale_groups(folded).items() if group.room} == in_weights
    assert scale_groups(folded)["body_end"].max_zero_point == 191  # of 255 steps, 1/4 above zero
    assert calibrated(folded) == [x for x in CALIBRATED[name] if x != "body_end.add"]


@pytest.mark.parametrize("name", CALIBRATED)
def test_weights_are_free_of_scales_without_a_folded_skip(networks: Networks, name: str) -> None:
    groups = scale_groups(networks(name))
    assert not any(group.in_weights or group.room for group in groups.values())


def test_collapsed_tail_and_its_shuffle_are_the_image(networks: Networks) -> None:
    found = owners(collapse_tail(networks("six")))
    assert found == by_hand("six") | {"upsample.0.shuffle": IMAGE}


def test_every_tensor_gets_the_grid_of_its_group(networks: Networks) -> None:
    folded = fold_long_skip(networks("six"))
    own = {name: Grid(float(i + 1), i) for i, name in enumerate(calibrated(folded))}
    found = all_grids(folded, own)
    assert found[IMAGE] == found[PLANE] == found["tail"] == IMAGE_GRID
    assert found[TAPS] == found[CONCAT] == found["body_end"] == own["body_end"]
    assert found["upsample.0.shuffle"] == own["upsample.0"]
    assert set(found) == {IMAGE, *(layer.name for layer in folded.layers)}
