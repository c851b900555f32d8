"""The simulation that learning goes through, against the graphs that it stands for, run by onnxruntime."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from int8_build import observed
from int8_graph import assert_simulates, int8_graph
from reference import by_onnxruntime, nchw

from edsr_int8.quantization.ir.layers import Add, Conv, Network
from edsr_int8.quantization.passes import run
from edsr_int8.quantization.recipe import MODEL_CARD
from edsr_int8.quantization.simulation.quantsim import NOTHING, Rounding, Simulation
from edsr_int8.quantization.state import QuantizedNetwork

Networks = Callable[[str], Network]
States = Callable[[str], QuantizedNetwork]
Graphs = Callable[[str], Path]
NAMES = ["x1", "x4", "direct", "mdsr"]


@torch.no_grad()
@pytest.mark.parametrize("name", NAMES)
def test_without_rounding_it_is_the_float_graph(
    networks: Networks, float_graphs: Graphs, portrait: np.ndarray, name: str
) -> None:
    image = portrait[50:90, 30:66]
    expected = by_onnxruntime(float_graphs(name), image)
    simulation = Simulation(QuantizedNetwork(networks(name)))
    found = simulation(torch.from_numpy(nchw(image, np.float32)), rounding=NOTHING).numpy()
    assert np.abs(found - np.clip(expected, 0, 255)).max() < 1e-3


@pytest.mark.parametrize("name", NAMES)
def test_rounded_it_is_the_int8_graph(quantized: States, portrait: np.ndarray, name: str) -> None:
    image, state = portrait[50:90, 30:66], quantized(name)
    assert_simulates(Simulation(state), by_onnxruntime(int8_graph(state), image), image)


def test_rounded_it_is_the_int8_graph_of_a_real_network(
    real_graphs: Graphs, portrait: np.ndarray, tmp_path: Path
) -> None:
    image = portrait[20:84, 30:94]
    state = run(MODEL_CARD, observed(real_graphs("mobile"), tmp_path, image))
    assert_simulates(Simulation(state), by_onnxruntime(int8_graph(state), image), image)


def some(network: Network, which: str) -> frozenset[str]:
    """Names of layers to keep in float."""
    convs = [layer.name for layer in network.layers if isinstance(layer, Conv)]
    sums = [layer.name for layer in network.layers if isinstance(layer, Add)]
    return frozenset(
        {
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
    )


KINDS = [
    "sum", "sums", "conv with relu", "conv before a sum", "conv before shuffle", "head", "tail",
    "head and sums", "body end to tail", "all",
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["x4", "direct"])
def test_high_precision_layers_are_those_of_the_mixed_graph(
    quantized: States, portrait: np.ndarray, name: str, kind: str
) -> None:
    image, state = portrait[50:80, 30:66], quantized(name)
    state = replace(state, high_precision=some(state.network, kind))
    assert_simulates(Simulation(state), by_onnxruntime(int8_graph(state), image), image)


def test_unified_grids_are_those_of_the_graph(quantized: States, portrait: np.ndarray) -> None:
    image, simulation = portrait[50:90, 30:66], Simulation(quantized("x4"), unify=True)
    result = simulation.result()
    assert result.grids["head"] == result.grids["body_end"] == result.grids["body_end.add"]
    assert_simulates(simulation, by_onnxruntime(int8_graph(result), image), image)


@pytest.mark.parametrize("name", NAMES)
def test_result_is_what_went_in(quantized: States, name: str) -> None:
    state = replace(quantized(name), high_precision=frozenset({"tail"}))
    result = Simulation(state).result()
    for before, after in zip(state.network.layers, result.network.layers, strict=True):
        assert (before.name, before.inputs, type(before)) == (after.name, after.inputs, type(after))
        if isinstance(before, Conv) and isinstance(after, Conv):
            np.testing.assert_allclose(after.weight, before.weight, rtol=1e-6)
            np.testing.assert_allclose(after.bias, before.bias, rtol=1e-6)
    assert list(result.grids) == list(state.grids) and result.high_precision == state.high_precision
    for tensor, grid in state.grids.items():
        assert result.grids[tensor].zero_point == grid.zero_point
        assert result.grids[tensor].scale == pytest.approx(grid.scale, rel=1e-6)


@torch.no_grad()
def test_result_holds_what_was_learned(quantized: States, portrait: np.ndarray) -> None:
    """Bases, gains and grids moved at random: the network of now computes what the parameters say."""
    torch.manual_seed(0)
    image, simulation = portrait[50:90, 30:66], Simulation(quantized("x4"))
    for parameters, size in (
        (simulation.bases, 0.1),
        (simulation.log_gains.values(), 0.2),
        (simulation.log_scales.values(), 0.1),
        (simulation.biases.values(), 0.5),
    ):
        for parameter in parameters:
            parameter += size * torch.randn(parameter.shape)
    built = by_onnxruntime(int8_graph(simulation.result()), image)
    assert_simulates(simulation, built, image)


@torch.no_grad()
def test_only_named_tensors_and_weights_are_rounded(quantized: States, crops: torch.Tensor) -> None:
    simulation, images, nothing = Simulation(quantized("x4")), crops.float(), frozenset[str]()
    rounded, exact = simulation(images), simulation(images, rounding=NOTHING)
    every = Rounding(
        frozenset(simulation.state.grids),
        frozenset(x.name for x in simulation.state.network.layers if isinstance(x, Conv)),
    )
    assert torch.equal(simulation(images, rounding=every), rounded)
    one = frozenset(["body.0.conv1"])
    found = [simulation(images, rounding=each) for each in (Rounding(one, nothing), Rounding(nothing, one))]
    for each in found:
        assert not torch.equal(each, exact) and not torch.equal(each, rounded)
    assert not torch.equal(*found)


@torch.no_grad()
@pytest.mark.parametrize("name", NAMES)
def test_a_pass_that_is_resumed_ends_like_a_whole_one(
    quantized: States, crops: torch.Tensor, name: str
) -> None:
    """Bit for bit, from before the layer that is quantized alone; and it can be resumed again."""
    simulation, images = Simulation(quantized(name)), crops[:2].float()
    paused = simulation.start(images)
    for layer in simulation.state.network.layers:
        for rounding in (Rounding(frozenset([layer.name]), frozenset()), NOTHING):
            assert torch.equal(
                simulation.resume(paused, rounding=rounding), simulation(images, rounding=rounding)
            )
        paused = simulation.step(paused, NOTHING)


@torch.no_grad()
@pytest.mark.parametrize("name", NAMES)
def test_a_pass_goes_on_with_some_of_its_images(quantized: States, crops: torch.Tensor, name: str) -> None:
    """From before any layer. Unrounded: sums over one image and over three may differ in their last bits."""
    simulation, images = Simulation(quantized(name)), crops[:3].float()
    wanted, paused = simulation(images[:1], rounding=NOTHING), simulation.start(images)
    for _ in simulation.state.network.layers:
        found = simulation.resume(paused.first(1), rounding=NOTHING)
        torch.testing.assert_close(found, wanted, atol=1e-2, rtol=0)
        paused = simulation.step(paused, NOTHING)


@torch.no_grad()
def test_a_layer_takes_another_weight_and_bias(quantized: States, crops: torch.Tensor) -> None:
    state, images = quantized("six"), crops[:2].float()
    tail = next(x for x in state.network.layers if x.name == "tail")
    assert isinstance(tail, Conv)
    other = replace(tail, weight=0.5 * tail.weight, bias=tail.bias + 3)
    layers = tuple(other if x is tail else x for x in state.network.layers)
    simulation = Simulation(state)
    simulation.take(other)
    with_it = Simulation(replace(state, network=replace(state.network, layers=layers)))
    assert torch.equal(simulation(images), with_it(images))
