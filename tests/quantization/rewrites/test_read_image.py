"""The image in place of a float head's features: exact in float, and in int8 what the simulation learns."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from int8_graph import assert_simulates, int8_graph
from reference import nchw, output

from edsr_int8.quantization.analysis.mixed_precision import share_left, within_budget
from edsr_int8.quantization.ir.cost import conv_macs, high_precision_shares
from edsr_int8.quantization.ir.grid import IMAGE_GRID
from edsr_int8.quantization.ir.layers import Network, Taps
from edsr_int8.quantization.ir.scale_groups import all_grids
from edsr_int8.quantization.rewrites.centre import centre_image
from edsr_int8.quantization.rewrites.fold_long_skip import fold_long_skip
from edsr_int8.quantization.rewrites.read_image import read_image
from edsr_int8.quantization.simulation.quantsim import Simulation
from edsr_int8.quantization.state import QuantizedNetwork
from edsr_int8.targets.base import open_target
from edsr_int8.targets.row import TargetRow

Networks = Callable[[str], Network]
States = Callable[[str], QuantizedNetwork]
HEAD = frozenset({"head", "body.0.conv2.add"})
NAMES = ["x1", "x4", "direct", "six"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [(16, 13), (3, 2), (1, 1)])
def test_output_stays(networks: Networks, portrait: np.ndarray, name: str, shape: tuple[int, int]) -> None:
    network, image = networks(name), portrait[60 : 60 + shape[0], 40 : 40 + shape[1]]
    for each in (network, centre_image(network)):
        reading = read_image(each, HEAD)
        assert any(isinstance(x, Taps) for x in reading.layers)
        assert np.abs(output(network, image) - output(reading, image)).max() < 1e-9


@pytest.mark.parametrize("name", NAMES)
def test_unchanged_where_the_image_is_read_already(networks: Networks, name: str) -> None:
    network = networks(name)
    everything = {x.name for x in network.layers}
    around = fold_long_skip(network)
    assert read_image(network, ()) is network
    assert read_image(network, everything) is network
    assert read_image(around, HEAD) is around


@pytest.mark.parametrize("name", NAMES)
def test_simulation_and_graph_give_the_same(
    quantized: States, portrait: np.ndarray, tmp_path: Path, name: str
) -> None:
    state, image = quantized(name), portrait[80:120, 40:90]
    reading = QuantizedNetwork(read_image(state.network, HEAD), high_precision=HEAD).on_grids(state.grids)
    assert all_grids(reading.network, reading.grids)["image.taps"] == IMAGE_GRID
    onnx.save(int8_graph(reading), tmp_path / "m.onnx")
    run = open_target(TargetRow("onnxruntime", 1, 4096)).load(tmp_path / "m.onnx")
    assert_simulates(Simulation(reading), run(nchw(image, np.uint8)), image)


def test_budget_is_a_share_of_what_is_left(networks: Networks) -> None:
    """A network of more features than an image has taps does less work where it reads the image."""
    network = networks("wide")
    losses = dict.fromkeys((x.name for x in network.layers), 1.0) | {"head": 1000.0}
    before, after = (sum(conv_macs(each).values()) for each in (network, read_image(network, HEAD)))
    assert after < before
    shares = []
    for budget in np.arange(0.02, 0.5, 0.002):
        chosen = within_budget(network, losses, losses, float(budget) * share_left(network))
        reading = read_image(network, chosen)
        shares.append(high_precision_shares(reading, chosen)[0])
        assert shares[-1] <= budget
    assert len(set(shares)) > 2  # more budget, more layers
