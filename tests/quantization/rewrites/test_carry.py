"""Tensors that are carried several times: exact in float, and a finer grid in int8."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from int8_graph import assert_alike_everywhere
from reference import output

from edsr_int8.quantization.ir.grid import Grid
from edsr_int8.quantization.ir.layers import IMAGE, Conv, Network
from edsr_int8.quantization.ir.scale_groups import calibrated
from edsr_int8.quantization.recipe import Carriers
from edsr_int8.quantization.rewrites.carry import carry
from edsr_int8.quantization.rewrites.collapse_tail import collapse_tail
from edsr_int8.quantization.rewrites.fold_long_skip import fold_long_skip
from edsr_int8.quantization.rewrites.structure import carried
from edsr_int8.quantization.simulation.quantsim import Rounding, Simulation
from edsr_int8.quantization.state import QuantizedNetwork, load, save

Networks = Callable[[str], Network]
States = Callable[[str], QuantizedNetwork]


def trunk_carried(state: QuantizedNetwork, times: int) -> QuantizedNetwork:
    network = fold_long_skip(state.network)
    there = QuantizedNetwork(network).on_grids({name: state.grids[name] for name in calibrated(network)})
    return replace(there, network=carried(there.network, Carriers(trunk=times)))


@pytest.mark.parametrize("name", ["x1", "x4", "direct", "six"])
@pytest.mark.parametrize("shape", [(16, 13), (1, 1)])
def test_output_stays(networks: Networks, portrait: np.ndarray, name: str, shape: tuple[int, int]) -> None:
    network, image = networks(name), portrait[60 : 60 + shape[0], 40 : 40 + shape[1]]
    twice = carried(collapse_tail(fold_long_skip(network)), Carriers(trunk=3, tail=2))
    assert np.abs(output(network, image) - output(twice, image)).max() < 1e-9
    carriers = {x.name: x.carriers for x in twice.layers if isinstance(x, Conv) and x.carriers > 1}
    tail = {"upsample.1": 2} if name == "x4" else {"upsample.0": 2} if name == "six" else {}
    assert carriers == {"body_end": 3} | tail


@torch.no_grad()
@pytest.mark.parametrize("times", [2, 3])
def test_so_many_carriers_are_a_grid_of_a_fraction_of_the_step(times: int) -> None:
    """The mean of codes on offset grids is rounding to a finer grid: Hermite's identity."""
    values = np.linspace(3.02, 9.92, 70)
    weight = np.zeros((1, 3, 1, 1))
    weight[0, 0] = 1
    network = carry(
        Network(
            (
                Conv("t", (IMAGE,), weight, np.zeros(1)),
                Conv("out", ("t",), np.ones((3, 1, 1, 1)), np.zeros(3)),
            ),
            {},
        ),
        "t",
        times,
    )
    simulation = Simulation(QuantizedNetwork(network, {"t": Grid(1.0, 0)}))
    image = torch.from_numpy(np.tile(values, (1, 3, 1, 1)).astype(np.float32))
    found = simulation(image, rounding=Rounding(weights=frozenset()))[0, 0, 0].numpy()
    expected = np.floor(values * times + 0.5) / times
    assert np.abs(found - expected).max() < 1e-4 and np.abs(found - values).max() <= 0.5 / times + 1e-4


@pytest.mark.parametrize("name", ["x4", "direct"])
def test_simulation_graph_and_exact_integers_give_the_same(
    quantized: States, portrait: np.ndarray, tmp_path: Path, name: str
) -> None:
    state, image = trunk_carried(quantized(name), 2), portrait[80:120, 40:90]
    assert_alike_everywhere(state, image, tmp_path)


def test_carriers_are_kept_in_the_file_of_a_quantized_network(quantized: States, tmp_path: Path) -> None:
    state = trunk_carried(quantized("x1"), 2)
    save(tmp_path, state)
    again = load(tmp_path, weights_sha256=state.network.weights_sha256)
    assert [x.carriers for x in again.network.layers if isinstance(x, Conv)] == [
        x.carriers for x in state.network.layers if isinstance(x, Conv)
    ]


@pytest.mark.parametrize(("name", "text"), [("body.0.conv1", "linear"), ("head", "only convolutions")])
def test_tensors_that_cannot_be_carried_are_refused(networks: Networks, name: str, text: str) -> None:
    with pytest.raises(ValueError, match=f"^{name}: .*{text}"):
        carry(networks("x1"), name, 2)
