"""The simulation that learning goes through, against the graphs that it stands for, run by onnxruntime."""

from collections.abc import Callable, Collection, Mapping
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
import torch
from onnx import ModelProto

from edsr_int8.data.images import write_png
from edsr_int8.onnx_session import session_options
from edsr_int8.quantization.calibration.observe import observe_network
from edsr_int8.quantization.calibration.quantization_parameters import shared_grids
from edsr_int8.quantization.calibration.range_estimators import Grid, choose_all, grid
from edsr_int8.quantization.ir.layers import Conv, Network, Sum, measured, read_network
from edsr_int8.quantization.ir.qdq_onnx import qdq_model
from edsr_int8.quantization.quantize import all_grids
from edsr_int8.quantization.recipe import MODEL_CARD
from edsr_int8.quantization.rewrites.fold import fold
from edsr_int8.quantization.simulation.quantsim import Simulation

Networks = Callable[[str], Network]
Grids = Callable[[str], dict[str, Grid]]
NAMES = ["x1", "x4", "direct", "mdsr"]


def run(model: ModelProto, image: np.ndarray) -> np.ndarray:
    session = ort.InferenceSession(model.SerializeToString(), session_options(threads=1))
    return session.run(None, {"image": nchw(image)})[0]


def nchw(image: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(image.transpose(2, 0, 1)[None])


@torch.no_grad()
def simulated(simulation: Simulation, image: np.ndarray, *, exact: bool = False) -> np.ndarray:
    return simulation(torch.from_numpy(nchw(image)).float(), exact=exact).round().numpy()


def graph(network: Network, grids: Mapping[str, Grid], floats: Collection[str] = ()) -> ModelProto:
    return qdq_model(network, all_grids(network, grids), {}, floats=floats)


def assert_close(simulation: Simulation, model: ModelProto, image: np.ndarray) -> None:
    """The simulation loses as much of the picture as int8 does, and mostly in the same pixels.

    Not to the bit: it adds in float32, so here and there a value near a tie falls the other way, and each
    such value moves others in the layers behind it.
    """
    found, expected = simulated(simulation, image), run(model, image).astype(float)
    exact = simulated(Simulation(simulation.network, {}), image, exact=True)
    assert expected.std() > 5
    losses = [np.square(output - exact).mean() for output in (found, expected)]
    assert losses[0] == pytest.approx(losses[1], rel=0.1, abs=1e-3)
    assert np.square(found - expected).mean() <= 0.25 * losses[1] + 1e-3


@pytest.mark.parametrize("name", NAMES)
def test_exact_is_the_float_graph(
    networks: Networks, float_graphs: Callable[[str], Path], portrait: np.ndarray, name: str
) -> None:
    image = nchw(portrait[50:90, 30:66]).astype(np.float32)
    expected = ort.InferenceSession(float_graphs(name)).run(None, {"image": image})[0]
    with torch.no_grad():
        found = Simulation(networks(name), {})(torch.from_numpy(image), exact=True).numpy()
    assert np.abs(found - np.clip(expected, 0, 255)).max() < 1e-3


@pytest.mark.parametrize("name", NAMES)
def test_rounded_is_the_int8_graph(networks: Networks, grids: Grids, portrait: np.ndarray, name: str) -> None:
    image, network = portrait[50:90, 30:66], networks(name)
    assert_close(Simulation(network, grids(name)), graph(network, grids(name)), image)


def test_rounded_is_the_int8_graph_of_a_real_network(
    real_graphs: Callable[[str], Path], portrait: np.ndarray, tmp_path: Path
) -> None:
    network, image = fold(read_network(real_graphs("mobile"))), portrait[20:84, 30:94]
    write_png(tmp_path / "i.png", image)
    seen = observe_network(network, measured(network), [tmp_path / "i.png"], threads=1)
    grids = {name: grid(*ends) for name, ends in choose_all(seen, MODEL_CARD).items()}
    assert_close(Simulation(network, grids), graph(network, grids), image)


def some(network: Network, which: str) -> set[str]:
    """Names of layers to keep in float."""
    convs = [layer.name for layer in network.layers if isinstance(layer, Conv)]
    sums = [layer.name for layer in network.layers if isinstance(layer, Sum)]
    return {
        "sum": {sums[-1]},
        "sums": set(sums),
        "conv with relu": {next(name for name in convs if name.endswith("conv1"))},
        "conv before a sum": {next(name for name in convs if name.endswith("conv2"))},
        "conv before shuffle": {name for name in convs if name.startswith("upsample")} or {convs[-1]},
        "head": {convs[0]},
        "tail": {convs[-1]},
        "head and sums": {convs[0], *sums},
        "body end to tail": {*convs[-3:], sums[-1]},
        "all": {*convs, *sums},
    }[which]


KINDS = [
    "sum", "sums", "conv with relu", "conv before a sum", "conv before shuffle", "head", "tail",
    "head and sums", "body end to tail", "all",
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["x4", "direct"])
def test_layers_in_float_are_those_of_the_mixed_graph(
    networks: Networks, grids: Grids, portrait: np.ndarray, name: str, kind: str
) -> None:
    image, network = portrait[50:80, 30:66], networks(name)
    floats = some(network, kind)
    simulation = Simulation(network, grids(name), floats=floats)
    assert_close(simulation, graph(network, grids(name), floats), image)


def test_shared_grids_are_those_of_the_graph(networks: Networks, grids: Grids, portrait: np.ndarray) -> None:
    image, network = portrait[50:90, 30:66], networks("x4")
    shared = shared_grids(network)
    assert shared == {"head": "body_end.add", "body_end": "body_end.add"}
    simulation = Simulation(network, grids("x4"), shared=shared)
    result, found = simulation.result()
    assert found["head"] == found["body_end"] == found["body_end.add"]
    assert_close(simulation, graph(result, found), image)


@pytest.mark.parametrize("name", NAMES)
def test_result_is_what_went_in(networks: Networks, grids: Grids, name: str) -> None:
    network, found = Simulation(networks(name), grids(name)).result()
    for before, after in zip(networks(name).layers, network.layers, strict=True):
        assert (before.name, before.inputs, type(before)) == (after.name, after.inputs, type(after))
        if isinstance(before, Conv) and isinstance(after, Conv):
            np.testing.assert_allclose(after.weight, before.weight, rtol=1e-6)
            np.testing.assert_allclose(after.bias, before.bias, rtol=1e-6)
    assert list(found) == list(grids(name))
    for tensor, grid_before in grids(name).items():
        assert found[tensor].zero_point == grid_before.zero_point
        assert found[tensor].scale == pytest.approx(grid_before.scale, rel=1e-6)


@torch.no_grad()
def test_result_holds_what_was_learned(networks: Networks, grids: Grids, portrait: np.ndarray) -> None:
    """Bases, gains and grids moved at random: the network of now computes what the parameters say."""
    torch.manual_seed(0)
    image, simulation = portrait[50:90, 30:66], Simulation(networks("x4"), grids("x4"))
    for parameters, size in (
        (simulation.bases, 0.1),
        (simulation.log_gains.values(), 0.2),
        (simulation.log_scales.values(), 0.1),
        (simulation.biases.values(), 0.5),
    ):
        for parameter in parameters:
            parameter += size * torch.randn(parameter.shape)
    result, found = simulation.result()
    assert_close(simulation, graph(result, found), image)


@torch.no_grad()
def test_switches_say_whose_rounding_is_on(networks: Networks, grids: Grids, crops: torch.Tensor) -> None:
    simulation, images = Simulation(networks("x4"), grids("x4")), crops.float()
    rounded, exact = simulation(images), simulation(images, exact=True)
    simulation.tensors = simulation.layers = frozenset()
    assert torch.equal(simulation(images), exact)
    simulation.tensors = frozenset(["body.0.conv1"])
    assert not torch.equal(simulation(images), exact) and not torch.equal(simulation(images), rounded)
