"""Exact rewrites, alone and together: the network's output stays, borders included."""

from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from zlib import crc32

import numpy as np
import pytest
from reference import in_float32, output

from edsr_int8.quantization.ir.grid import Grid
from edsr_int8.quantization.ir.layers import Conv, Network
from edsr_int8.quantization.ir.read_onnx import read_network
from edsr_int8.quantization.ir.scale_groups import calibrated
from edsr_int8.quantization.rewrites.channel_transform import channels, linear_bases, transform_channels
from edsr_int8.quantization.rewrites.collapse_tail import collapse_tail
from edsr_int8.quantization.rewrites.direct_tail import direct_tail
from edsr_int8.quantization.rewrites.equalize import equalize
from edsr_int8.quantization.rewrites.fold import fold
from edsr_int8.quantization.rewrites.fold_long_skip import fold_long_skip, on_grids

FLOAT64_TOLERANCE = 1e-9  # grey levels
FLOAT32_TOLERANCE = 1e-3
NAMES = ["x1", "x4", "direct", "mdsr", "six"]  # six features: no power of two
SHAPES = [(12, 13), (3, 2), (1, 1)]  # of an image of one pixel, all is border


def fold_onto_any_grid(network: Network, random: np.random.Generator) -> Network:
    folded = fold_long_skip(network)
    grids = {name: Grid(random.uniform(0.1, 2), int(random.integers(192))) for name in calibrated(folded)}
    return on_grids(folded, grids)


def transform_at_random(network: Network, random: np.random.Generator) -> Network:
    for basis in linear_bases(network):
        count = channels(network, basis)
        turns = [np.linalg.qr(random.normal(size=(count, count)))[0] for _ in range(2)]
        matrix = turns[0] @ np.diag(np.exp(random.uniform(-1, 1, count))) @ turns[1]
        network = transform_channels(network, basis, matrix)
    return network


def equalize_at_random(network: Network, random: np.random.Generator) -> Network:
    convs = [layer for layer in network.layers if isinstance(layer, Conv)]
    return equalize(network, {conv.name: random.uniform(0, 9, len(conv.bias)) for conv in convs})


Rewrite = Callable[[Network, np.random.Generator], Network]
REWRITES: dict[str, Rewrite] = {  # in the order of the passes
    "collapse_tail": lambda network, _: collapse_tail(network),
    "fold_long_skip": fold_onto_any_grid,
    "direct_tail": lambda network, _: direct_tail(collapse_tail(network)),
    "channel_transform": transform_at_random,
    "equalize": equalize_at_random,
}
# Where the network does not end on conv, shuffle, conv; where the last sum is no convolution of the image.
NOT_THERE = {"collapse_tail": {"x1", "direct"}, "direct_tail": {"x1", "direct"}, "fold_long_skip": {"mdsr"}}
SETS = [chosen for count in range(1, 6) for chosen in combinations(REWRITES, count)]


@pytest.mark.parametrize("chosen", SETS, ids="+".join)
@pytest.mark.parametrize("name", NAMES)
def test_output_stays(
    float_graphs: Callable[[str], Path], portrait: np.ndarray, name: str, chosen: tuple[str, ...]
) -> None:
    """Of the graph as it was exported, before anything is folded."""
    exported = read_network(float_graphs(name))
    network, random = fold(exported), np.random.default_rng(crc32(f"{name} {chosen}".encode()))
    for rewrite in chosen:
        before, network = network, REWRITES[rewrite](network, random)
        assert (network is before) == (name in NOT_THERE.get(rewrite, ()))
    for height, width in SHAPES:
        image = portrait[60 : 60 + height, 40 : 40 + width]
        expected, found = output(exported, image), output(network, image)
        assert expected.shape == found.shape and (expected.std() > 1 or expected.size < 50)
        assert np.abs(expected - found).max() < FLOAT64_TOLERANCE
    image = portrait[40:104, 30:80]
    assert np.abs(in_float32(exported, image) - in_float32(network, image)).max() < FLOAT32_TOLERANCE
