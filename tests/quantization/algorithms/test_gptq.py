"""GPTQ: on the grid, better than nearest rounding where inputs are correlated, equal where they are not."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from int8_build import observed

from edsr_int8.errors import InputError
from edsr_int8.quantization.algorithms.gptq import gptq, on_grid, round_for_all
from edsr_int8.quantization.algorithms.gptq_weights import load_weights
from edsr_int8.quantization.ir.integer_weights import round_conv
from edsr_int8.quantization.ir.layers import Conv, Network
from edsr_int8.quantization.passes import run
from edsr_int8.quantization.recipe import MODEL_CARD, Statistics, Structure
from edsr_int8.quantization.rewrites.fold_long_skip import fold_long_skip
from edsr_int8.quantization.simulation.objective import with_float_outputs
from edsr_int8.quantization.simulation.quantsim import Simulation
from edsr_int8.quantization.state import QuantizedNetwork

Networks = Callable[[str], Network]
Graphs = Callable[[str], Path]
FOLDED = Structure(fold_long_skip=True)


def nearest(weight: torch.Tensor) -> torch.Tensor:
    step = weight.abs().amax(dim=1, keepdim=True) / 127
    return (weight / step).round() * step


def test_smooth_input_loses_far_less_than_by_nearest_rounding() -> None:
    random = torch.Generator().manual_seed(0)
    weights = torch.randn(200, 18, generator=random, dtype=torch.float64)
    common = torch.randn(1, 500, generator=random, dtype=torch.float64)
    inputs = common + 0.1 * torch.randn(18, 500, generator=random, dtype=torch.float64)
    ours, theirs = (
        ((found - weights) @ inputs).square().mean()
        for found in (on_grid(weights, inputs @ inputs.T / 500), nearest(weights))
    )
    assert ours < 0.2 * theirs


def test_with_independent_inputs_each_weight_goes_to_the_nearest() -> None:
    weight = torch.randn(5, 12, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    torch.testing.assert_close(on_grid(weight, torch.eye(12, dtype=torch.float64)), nearest(weight))


def test_weights_left_to_round_are_the_least_squares_answer() -> None:
    """The definition, by solving for the free weights anew after each rounding; no factor, no recursion."""
    random = np.random.default_rng(0)
    weight, inputs = random.normal(size=7), random.normal(size=(7, 7)) @ random.normal(size=(7, 90))
    moment = inputs @ inputs.T / 90
    damped = moment + 0.01 * np.diag(moment).mean() * np.eye(7)
    step, free, wanted = np.abs(weight).max() / 127, np.argsort(-np.diag(moment)), weight.copy()
    while len(free):
        first, free = free[0], free[1:]
        largest = np.abs(weight[first]) == np.abs(weight).max()
        wanted[first] = weight[first] if largest else np.clip(np.rint(wanted[first] / step), -127, 127) * step
        fixed = np.setdiff1d(np.arange(7), free)
        error = damped[np.ix_(free, fixed)] @ (weight - wanted)[fixed]
        wanted[free] = weight[free] + np.linalg.solve(damped[np.ix_(free, free)], error)
    found = on_grid(torch.from_numpy(weight)[None], torch.from_numpy(moment))[0]
    np.testing.assert_allclose(found, wanted, atol=1e-9)


@pytest.mark.parametrize("moment", [torch.zeros(8, 8), torch.ones(8, 8), torch.diag(torch.arange(8.0))])
def test_inputs_without_variance_give_finite_weights(moment: torch.Tensor) -> None:
    weight = torch.randn(3, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    weight[1] = 0
    found = on_grid(weight, moment.double())
    assert torch.isfinite(found).all() and not found[1].any()
    assert ((found - weight).abs() <= 8 * weight.abs().amax(dim=1, keepdim=True) / 127).all()


@pytest.mark.parametrize("length", [1, 2])
@pytest.mark.parametrize("name", ["x1", "mdsr"])
def test_images_smaller_than_a_kernel(
    networks: Networks, crops: torch.Tensor, name: str, length: int
) -> None:
    found = gptq(QuantizedNetwork(networks(name)), crops[..., :length, :length])
    assert all(np.isfinite(layer.weight).all() for layer in found.layers if isinstance(layer, Conv))


def test_nearest_rounding_later_keeps_the_codes(networks: Networks, crops: torch.Tensor) -> None:
    """The graph rounds to the nearest: that changes nothing that GPTQ chose."""
    for conv in (x for x in gptq(QuantizedNetwork(networks("six")), crops).layers if isinstance(x, Conv)):
        integers = round_conv(conv, 0.5)
        np.testing.assert_allclose(
            integers.weight * integers.scales.reshape(-1, 1, 1, 1), conv.weight, atol=1e-6
        )


@torch.no_grad()
@pytest.mark.parametrize("name", ["six", "x4", "mdsr"])
def test_output_is_nearer_than_with_nearest_rounding(
    networks: Networks, crops: torch.Tensor, name: str
) -> None:
    network = networks(name)
    images, wanted = with_float_outputs(network, crops)
    errors = [
        (Simulation(QuantizedNetwork(each))(images) - wanted).square().mean()
        for each in (gptq(QuantizedNetwork(network), crops), network)
    ]
    assert errors[0] < errors[1]


@torch.no_grad()
def test_weights_make_up_for_rounded_tensors(
    real_graphs: Graphs, portrait: np.ndarray, tmp_path: Path
) -> None:
    """On crops that it has not seen: beside weights that only make up for the rounding of weights."""
    calibration = observed(real_graphs("mobile"), tmp_path, portrait, statistics=Statistics(crops=64))
    state = run(MODEL_CARD, calibration)
    images, wanted = with_float_outputs(state.network, calibration.crops.held_out)
    both, weights_alone = (
        (Simulation(replace(state, network=each))(images) - wanted).square().mean()
        for each in (
            gptq(state, calibration.crops.training),
            gptq(replace(state, grids={}), calibration.crops.training),
        )
    )
    assert both < 0.8 * weights_alone


def test_what_computes_in_float_is_fitted_and_not_rounded(networks: Networks, crops: torch.Tensor) -> None:
    before, after = (
        {x.name: x.weight for x in each.layers if isinstance(x, Conv)}
        for each in (
            networks("six"),
            gptq(QuantizedNetwork(networks("six"), high_precision=frozenset({"tail"})), crops),
        )
    )

    def furthest_from_a_code(weight: np.ndarray) -> float:
        codes = weight / np.abs(weight).max(axis=(1, 2, 3), keepdims=True) * 127
        return float(np.abs(codes - np.rint(codes)).max())

    assert furthest_from_a_code(after["head"]) < 1e-6 and furthest_from_a_code(after["tail"]) > 0.3
    assert (before["tail"] != after["tail"]).any()


def test_rounded_weights_serve_the_network_with_and_without_its_long_skip(
    float_graphs: Graphs, networks: Networks, tmp_path: Path, portrait: np.ndarray
) -> None:
    """Equal inputs give equal bytes."""
    calibration = observed(float_graphs("x1"), tmp_path, portrait)
    for name in ("a.npz", "b.npz"):
        out = tmp_path / name
        round_for_all(calibration.float_model, calibration.histograms, calibration.images, out)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    labels = {Structure().label: networks("x1"), FOLDED.label: fold_long_skip(networks("x1"))}
    for label, before in labels.items():
        after = load_weights(tmp_path / "a.npz", before, label)
        for x, y in zip(before.layers, after.layers, strict=True):
            if isinstance(x, Conv):
                assert isinstance(y, Conv) and x.weight.shape == y.weight.shape
                assert (x.weight != y.weight).any()


def test_no_image_is_refused(float_graphs: Graphs, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no calibration images"):
        round_for_all(float_graphs("x1"), tmp_path / "h.npz", [], tmp_path / "w.npz")
