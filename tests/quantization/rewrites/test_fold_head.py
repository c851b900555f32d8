"""The head folded into the first block: exact in float, and what every implementation of int8 computes."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from int8_graph import assert_alike_everywhere
from reference import nchw, output

from edsr_int8.quantization.ir.grid import Grid
from edsr_int8.quantization.ir.layers import Add, Conv, Network
from edsr_int8.quantization.ir.read_onnx import read_network
from edsr_int8.quantization.ir.scale_groups import calibrated
from edsr_int8.quantization.rewrites.centre import centre_image
from edsr_int8.quantization.rewrites.fold import fold
from edsr_int8.quantization.rewrites.fold_head import fold_head
from edsr_int8.quantization.rewrites.fold_long_skip import fold_long_skip, on_grids
from edsr_int8.quantization.simulation.quantsim import TENSORS, Simulation
from edsr_int8.quantization.state import QuantizedNetwork

Networks = Callable[[str], Network]
States = Callable[[str], QuantizedNetwork]
WITH_HEAD = ["x1", "x4", "direct", "six"]
GRIDS = {"body_end": Grid(0.7, 131), "body.0.conv1": Grid(0.3, 0)}


def folded(state: QuantizedNetwork) -> QuantizedNetwork:
    """`state` with its head folded, on the grids that are left."""
    network = fold_head(fold_long_skip(state.network))
    return QuantizedNetwork(network).on_grids({name: state.grids[name] for name in calibrated(network)})


@pytest.mark.parametrize("name", WITH_HEAD)
@pytest.mark.parametrize("shape", [(16, 13), (3, 2), (1, 1)])
def test_output_stays(networks: Networks, portrait: np.ndarray, name: str, shape: tuple[int, int]) -> None:
    """On the image's grid and on others; borders included: an image of one pixel is nothing else."""
    network, image = networks(name), portrait[60 : 60 + shape[0], 40 : 40 + shape[1]]
    without = fold_head(fold_long_skip(network))
    before = output(network, image)
    centred = fold_head(fold_long_skip(centre_image(network)))
    assert "head" not in {x.name for x in centred.layers}
    assert np.abs(before - output(without, image)).max() < 1e-9
    assert np.abs(before - output(centred, image)).max() < 1e-9
    assert np.abs(before - output(on_grids(without, GRIDS), image)).max() < 1e-9


@pytest.mark.parametrize("name", ["r8f64", "mobile"])
def test_output_of_a_real_network_stays(
    real_graphs: Callable[[str], Path], portrait: np.ndarray, name: str
) -> None:
    network, image = fold(read_network(real_graphs(name))), portrait[60:72, 40:49]
    without = on_grids(fold_head(fold_long_skip(network)), GRIDS)
    assert np.abs(output(network, image) - output(without, image)).max() < 1e-9


@pytest.mark.parametrize("name", WITH_HEAD)
def test_head_and_first_sum_are_gone(networks: Networks, name: str) -> None:
    around = fold_long_skip(networks(name))
    without = fold_head(around)
    assert (
        sum(isinstance(x, Add) for x in without.layers) == sum(isinstance(x, Add) for x in around.layers) - 1
    )
    assert "head" not in {x.name for x in without.layers}
    assert set(calibrated(around)) - set(calibrated(without)) == {"head", "body.0.conv2"}
    assert fold_head(without) is without


def test_a_head_with_other_consumers_stays(networks: Networks) -> None:
    """MDSR's, and that of a long skip that is not folded."""
    for network in (fold_long_skip(networks("mdsr")), networks("x1")):
        assert fold_head(network) is network


@pytest.mark.parametrize("name", WITH_HEAD)
def test_simulation_graph_and_exact_integers_give_the_same(
    quantized: States, portrait: np.ndarray, tmp_path: Path, name: str
) -> None:
    state, image = folded(quantized(name)), portrait[80:120, 40:90]
    assert_alike_everywhere(state, image, tmp_path)


@torch.no_grad()
def test_gains_of_a_joined_tensor_may_be_learned(quantized: States, portrait: np.ndarray) -> None:
    """The consumer takes them back on its own channels, and leaves those of the pixels alone."""
    state, image = folded(quantized("x1")), portrait[60:76, 40:53]
    simulation = Simulation(state)
    simulation.log_gains["body/0/conv1"] += 0.4
    moved = simulation.result()
    assert any(
        isinstance(a, Conv) and isinstance(b, Conv) and not np.allclose(a.weight, b.weight)
        for a, b in zip(moved.network.layers, state.network.layers, strict=True)
    )
    assert np.abs(output(state.network, image) - output(moved.network, image)).max() < 1e-3
    pixels = torch.from_numpy(nchw(image, np.float32))
    learned, built = (each(pixels, rounding=TENSORS) for each in (simulation, Simulation(moved)))
    assert (learned - built).abs().max() < 0.01
