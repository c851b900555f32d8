"""A last convolution that reads the features themselves: exact, less work, and less noise than before."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from int8_graph import assert_alike_everywhere
from reference import output
from skimage import data

from edsr_int8.data.images import write_png
from edsr_int8.quantization.calibration.observe import observe_network
from edsr_int8.quantization.calibration.quantization_parameters import choose_grids, own_ranges
from edsr_int8.quantization.ir.cost import conv_macs
from edsr_int8.quantization.ir.grid import Grid
from edsr_int8.quantization.ir.layers import IMAGE, Concat, Conv, Network, PixelShuffle, channel_counts, parts
from edsr_int8.quantization.ir.read_onnx import read_network
from edsr_int8.quantization.ir.scale_groups import calibrated, scale_groups
from edsr_int8.quantization.recipe import MODEL_CARD, Carriers
from edsr_int8.quantization.rewrites.collapse_tail import collapse_tail
from edsr_int8.quantization.rewrites.direct_tail import direct_tail, fetching, filling
from edsr_int8.quantization.rewrites.fold import fold
from edsr_int8.quantization.rewrites.fold_long_skip import fold_long_skip
from edsr_int8.quantization.rewrites.structure import carried
from edsr_int8.quantization.state import QuantizedNetwork

Networks = Callable[[str], Network]
Graphs = Callable[[str], Path]
FETCHED = {"x4": 36, "mdsr": 36, "six": 36}  # channels: all but the twelve that are a pixel's own


def direct(network: Network) -> Network:
    return direct_tail(fold_long_skip(collapse_tail(network)))


def photographs(folder: Path) -> list[Path]:
    for i, name in enumerate(("astronaut", "chelsea", "coffee")):
        write_png(folder / f"{name}.png", getattr(data, name)()[100:148, 40 + i : 90])
    return sorted(folder.glob("*.png"))


def tail(*, kernel: int = 3, low: float = -np.inf, places: int = 1, source: str = "features") -> Network:
    """A collapsed tail of random weights, each of its channels read at so many places."""
    random = np.random.default_rng(0)
    last = np.zeros((12, 20, kernel, kernel))
    for i in range(20):
        for y, x in random.integers(kernel, size=(places, 2)):
            last[i % 12, i, y, x] = random.normal()
    layers = (
        Conv("features", (IMAGE,), random.normal(0, 0.1, (3, 3, 3, 3)), np.zeros(3), low=low),
        Conv("wide", (source,), random.normal(0, 0.1, (20, 3, 3, 3)), random.normal(0, 9, 20)),
        Conv("last", ("wide",), last, random.normal(0, 9, 12)),
        PixelShuffle("shuffle", ("last",), 2),
    )
    return Network(layers, {})


@pytest.mark.parametrize("kernel", [1, 3, 5])
@pytest.mark.parametrize("shape", [(9, 7), (2, 3), (1, 1)])
def test_output_stays(portrait: np.ndarray, kernel: int, shape: tuple[int, int]) -> None:
    """Borders included: of an image of one pixel, all that is fetched from beside it is nothing."""
    network, image = tail(kernel=kernel), portrait[60 : 60 + shape[0], 40 : 40 + shape[1]]
    found = direct_tail(network)
    assert len(found.layers) == (5 if kernel > 1 else 3)  # of one pixel, nothing is fetched
    before, after = output(network, image), output(found, image)
    assert before.shape == after.shape and before.std() > 1 and np.abs(before - after).max() < 1e-9


@pytest.mark.parametrize("network", [tail(low=0.0), tail(places=2), tail(source=IMAGE)])
def test_another_tail_stays(network: Network) -> None:
    """Features without negative values; a channel that several places read; no features but the image."""
    assert direct_tail(network) is network


@pytest.mark.parametrize("name", list(FETCHED))
def test_fetched_channels_share_the_grid_of_the_features(networks: Networks, name: str) -> None:
    network = direct(networks(name))
    (few,) = fetching(network)
    assert channel_counts(network)[few] == FETCHED[name]
    features = next(iter(parts(network)["tail.join"]))
    assert scale_groups(network)[few].owner == scale_groups(network)[features].owner


def test_a_real_tail_takes_less_work(real_graphs: Graphs) -> None:
    """With two carriers in place of three, which leave more noise."""
    network = fold_long_skip(collapse_tail(fold(read_network(real_graphs("r8f64")))))
    before = carried(network, Carriers(trunk=2, tail=3))
    after = carried(direct_tail(network), Carriers(trunk=2, tail=2))
    assert sum(conv_macs(after).values()) < 0.9 * sum(conv_macs(before).values())


def test_what_is_fetched_fills_the_grid_and_is_not_clipped(
    networks: Networks, portrait: np.ndarray, tmp_path: Path
) -> None:
    network = direct(networks("x4"))
    histograms = observe_network(network, calibrated(network), photographs(tmp_path))
    grids = choose_grids(network, histograms, MODEL_CARD)
    ranges = own_ranges(histograms, MODEL_CARD, None)
    (few,) = fetching(network)
    found = filling(network, grids, ranges)
    image = portrait[60:72, 40:53]
    assert np.abs(output(network, image) - output(found, image)).max() < 1e-9
    weights = [next(x for x in each.layers if x.name == few).weight for each in (network, found)]
    used = weights[0] != 0
    gain = float(np.median(weights[1][used] / weights[0][used]))
    low, high = (gain * end for end in ranges[few])
    lowest, highest = grids[few].range
    assert min(lowest / low, highest / high) == pytest.approx(1)


@pytest.mark.parametrize("name", ["x4", "mdsr"])
def test_simulation_graph_and_exact_integers_give_the_same(
    networks: Networks, portrait: np.ndarray, tmp_path: Path, name: str
) -> None:
    network, image = direct(networks(name)), portrait[80:120, 40:90]
    histograms = observe_network(network, calibrated(network), photographs(tmp_path))
    grids = choose_grids(network, histograms, MODEL_CARD)
    filled = filling(network, grids, own_ranges(histograms, MODEL_CARD, None))
    state = QuantizedNetwork(filled).on_grids(grids)
    state = replace(state, network=carried(state.network, Carriers(2, 2)))
    assert_alike_everywhere(state, image, tmp_path)


def test_networks_without_a_shuffle_stay(networks: Networks) -> None:
    network = collapse_tail(networks("x1"))
    assert direct_tail(network) is network and not any(isinstance(x, Concat) for x in network.layers)
    assert filling(network, {"head": Grid(1.0, 0)}, {}) is network
