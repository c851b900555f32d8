"""The last shuffle after the last convolution: exact, and less work."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from reference import in_float32, output

from edsr_int8.quantization.ir.cost import conv_macs
from edsr_int8.quantization.ir.layers import IMAGE, Conv, Network, PixelShuffle
from edsr_int8.quantization.ir.read_onnx import read_network
from edsr_int8.quantization.rewrites.collapse_tail import collapse_tail
from edsr_int8.quantization.rewrites.fold import fold

Networks = Callable[[str], Network]
Graphs = Callable[[str], Path]


def tail(features: int, factor: int, kernel: int) -> Network:
    """A convolution, a shuffle and a convolution of random weights."""
    random = np.random.default_rng(factor)
    wide = random.normal(0, 0.1, (features * factor**2, 3, 3, 3))
    last = random.normal(0, 0.1, (3, features, kernel, kernel))
    layers = (
        Conv("wide", (IMAGE,), wide, random.normal(0, 9, len(wide))),
        PixelShuffle("shuffle", ("wide",), factor),
        Conv("last", ("shuffle",), last, random.normal(0, 9, 3)),
    )
    return Network(layers, {})


@pytest.mark.parametrize(("factor", "kernel", "channels"), [(2, 3, 48), (3, 3, 75), (2, 1, 12), (2, 7, 192)])
@pytest.mark.parametrize("shape", [(9, 7), (2, 3), (1, 1)])
def test_output_stays(
    portrait: np.ndarray, factor: int, kernel: int, channels: int, shape: tuple[int, int]
) -> None:
    """Borders included: an image of one pixel is nothing else."""
    network, image = tail(5, factor, kernel), portrait[60 : 60 + shape[0], 40 : 40 + shape[1]]
    collapsed = collapse_tail(network)
    first, second, shuffle = collapsed.layers
    assert isinstance(first, Conv) and isinstance(second, Conv) and isinstance(shuffle, PixelShuffle)
    assert len(first.bias) == channels and len(second.bias) == 3 * factor**2
    before, after = output(network, image), output(collapsed, image)
    assert before.shape == after.shape and before.std() > 1 and np.abs(before - after).max() < 1e-9


def test_output_of_a_real_network_stays_for_a_fifth_of_the_work(
    real_graphs: Graphs, portrait: np.ndarray
) -> None:
    network, image = fold(read_network(real_graphs("r8f64"))), portrait[60:72, 40:49]
    collapsed = collapse_tail(network)
    assert np.abs(output(network, image) - output(collapsed, image)).max() < 1e-9
    difference = in_float32(network, portrait[:64, :64]) - in_float32(collapsed, portrait[:64, :64])
    assert np.abs(difference).max() < 1e-3
    before, after = conv_macs(network), conv_macs(collapsed)
    assert after["upsample.0"] + after["tail"] < 0.22 * (before["upsample.0"] + before["tail"])


@pytest.mark.parametrize("name", ["x1", "direct"])
def test_network_without_such_a_tail_stays(networks: Networks, name: str) -> None:
    network = networks(name)
    assert collapse_tail(network) is network


def test_tail_that_is_not_linear_or_has_a_second_consumer_stays() -> None:
    network = tail(5, 2, 3)
    wide, shuffle, last = network.layers
    assert isinstance(wide, Conv)
    for layers in (
        (replace(wide, low=0.0), shuffle, last),
        (wide, shuffle, Conv("other", ("wide",), np.ones((1, 20, 1, 1)), np.zeros(1)), last),
        (wide, shuffle),
    ):
        changed = replace(network, layers=layers)
        assert collapse_tail(changed) is changed
