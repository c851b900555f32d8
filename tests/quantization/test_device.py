"""Passes on any device that torch computes on; the authority is the CPU."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from int8_build import observed

from edsr_int8.quantization.algorithms.finetune import backward
from edsr_int8.quantization.algorithms.gptq import round_for_all
from edsr_int8.quantization.algorithms.gptq_weights import load_weights
from edsr_int8.quantization.analysis.losses import write_losses
from edsr_int8.quantization.analysis.sensitivity import measure_losses
from edsr_int8.quantization.ir.layers import Conv, Network
from edsr_int8.quantization.passes import Calibration, run
from edsr_int8.quantization.recipe import Finetune, Recipe, Statistics, Structure
from edsr_int8.quantization.simulation.objective import with_float_outputs
from edsr_int8.quantization.simulation.quantsim import ALL, Simulation
from edsr_int8.quantization.state import QuantizedNetwork

STATISTICS = Statistics(crops=8, patch=16)
ROW = Recipe(
    "int8", "percentile", 99.99, gptq=True, channel_transform=True, fold_long_skip=True,
    statistics=STATISTICS, finetune=Finetune(steps=3, batch=4),
)  # fmt: skip
RECIPES = {
    "finetune": ROW,
    "corrections": replace(
        ROW, ranges="search", percentile=None, gptq=False, channel_transform=False, equalize=True,
        bias_correction=True, finetune=Finetune(),
    ),
    "mixed": replace(ROW, fold_long_skip=False, collapse_tail=True, high_precision_budget=0.3),
}  # fmt: skip


@pytest.fixture
def calibration(float_graphs: Callable[[str], Path], portrait: np.ndarray, tmp_path: Path) -> Calibration:
    parts = (portrait[:30, :40], portrait[30:60, :40])
    found = observed(float_graphs("six"), tmp_path, *parts, statistics=STATISTICS)
    write_losses(found.losses, measure_losses(found.float_model, found.histograms, found.images))
    return found


def weights(network: Network) -> list[np.ndarray]:
    return [array for x in network.layers if isinstance(x, Conv) for array in (x.weight, x.bias)]


def error(state: QuantizedNetwork, calibration: Calibration) -> float:
    images, wanted = with_float_outputs(calibration.float_network, calibration.crops.held_out)
    with torch.no_grad():
        return float((Simulation(state)(images) - wanted).square().mean())


@pytest.mark.parametrize("name", RECIPES)
def test_passes_repeat_and_do_as_on_the_cpu(calibration: Calibration, device: str, name: str) -> None:
    recipe = RECIPES[name]
    one, two = (run(recipe, replace(calibration, device=device)) for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(weights(one.network), weights(two.network), strict=True))
    assert (one.grids, one.curve, one.high_precision) == (two.grids, two.curve, two.high_precision)
    assert all(array.dtype == np.float64 for array in weights(one.network))
    assert error(one, calibration) == pytest.approx(error(run(recipe, calibration), calibration), rel=0.1)
    assert ("device" in one.network.metadata) == (device != "cpu")


def test_weights_for_all_recipes_name_their_device(
    calibration: Calibration, device: str, tmp_path: Path
) -> None:
    of = calibration
    round_for_all(of.float_model, of.histograms, of.images, tmp_path / "gptq.npz", device=device)
    found = load_weights(tmp_path / "gptq.npz", of.float_network, Structure().label)
    assert ("device" in found.metadata) == (device != "cpu")


def test_sensitivity_is_that_of_the_cpu(calibration: Calibration, device: str) -> None:
    arguments = calibration.float_model, calibration.histograms, calibration.images
    found, wanted = (measure_losses(*arguments, device=each) for each in (device, "cpu"))
    assert [(loss.name, loss.kind) for loss in found] == [(loss.name, loss.kind) for loss in wanted]
    alone = [[loss.alone_mse for loss in losses] for losses in (found, wanted)]
    np.testing.assert_allclose(*alone, rtol=0.02, atol=1e-4)


def test_few_crops_at_a_time_give_the_same_gradients(
    calibration: Calibration, quantized: Callable[[str], QuantizedNetwork], device: str
) -> None:
    crops = calibration.crops.to(device)
    gradients = []
    for at_once in (8, 3):
        simulation = Simulation(quantized("six")).to(device)
        pair = with_float_outputs(quantized("six").network, crops.training)
        loss = backward(simulation, *pair, ALL, at_once=at_once)
        gradients.append([p.grad for p in simulation.parameters() if p.grad is not None] + [loss])
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)
