"""Taps that the last convolution reads several times: exact, and its weights in finer steps."""

from collections.abc import Callable

import numpy as np
import pytest
from reference import output

from edsr_int8.quantization.ir.grid import Grid
from edsr_int8.quantization.ir.layers import Conv, Network, parts
from edsr_int8.quantization.ir.scale_groups import calibrated
from edsr_int8.quantization.rewrites.collapse_tail import collapse_tail
from edsr_int8.quantization.rewrites.direct_tail import direct_tail
from edsr_int8.quantization.rewrites.fold_long_skip import fold_long_skip, on_grids
from edsr_int8.quantization.rewrites.spread import MORE, MOST, spread_taps

Networks = Callable[[str], Network]


def on_a_grid(network: Network, scale: float = 0.05) -> Network:
    """The finer the grid, the larger the weights of the taps on it."""
    folded = direct_tail(fold_long_skip(collapse_tail(network)))
    return on_grids(folded, {name: Grid(scale, 128) for name in calibrated(folded)})


def last(network: Network) -> Conv:
    return [x for x in network.layers if isinstance(x, Conv)][-1]


def peaks(network: Network) -> dict[str, np.ndarray]:
    """The largest weight of each part of the last convolution's input."""
    conv = last(network)
    return {name: np.abs(conv.weight[:, part]) for name, part in parts(network)[conv.inputs[0]].items()}


@pytest.mark.parametrize("name", ["x1", "direct", "six"])
@pytest.mark.parametrize("shape", [(16, 13), (1, 1)])
def test_output_stays(networks: Networks, portrait: np.ndarray, name: str, shape: tuple[int, int]) -> None:
    network, image = on_a_grid(networks(name)), portrait[60 : 60 + shape[0], 40 : 40 + shape[1]]
    found = spread_taps(network)
    assert found is not network and any(x.name == MORE for x in found.layers)
    assert np.abs(output(network, image) - output(found, image)).max() < 1e-9


@pytest.mark.parametrize("name", ["x1", "direct", "six"])
def test_no_weight_of_a_tap_is_larger_than_all_others_if_copies_can_help(
    networks: Networks, name: str
) -> None:
    network = on_a_grid(networks(name))
    before, after = peaks(network), peaks(spread_taps(network))
    taps, others = before.pop("image.taps"), max(each.max() for each in before.values())
    bound = max(others, taps.max() / MOST)
    assert taps.max() > others and after["image.taps"].max() <= bound and after[MORE].max() <= bound


def test_a_network_that_reads_no_taps_at_its_end_stays(networks: Networks) -> None:
    """Of x4, the taps are read before the first of two shuffles."""
    for network in (networks("x1"), collapse_tail(networks("mdsr")), on_a_grid(networks("x4"))):
        assert spread_taps(network) is network
