"""GPTQ: on the grid, better than nearest rounding where inputs go together, equal where they do not."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from edsr_int8.data.images import write_png
from edsr_int8.errors import InputError
from edsr_int8.files import read_json
from edsr_int8.quantization.algorithms.gptq import gptq, on_grid, round_network, second_moment
from edsr_int8.quantization.calibration.observe import observe
from edsr_int8.quantization.ir.integer_weights import round_conv
from edsr_int8.quantization.ir.layers import Conv, Network, read_network
from edsr_int8.quantization.passes import prepare
from edsr_int8.quantization.quantize import quantize
from edsr_int8.quantization.recipe import MODEL_CARD, Preparation, Tuning
from edsr_int8.quantization.rewrites.fold import fold
from edsr_int8.quantization.simulation.quantsim import Simulation
from edsr_int8.quantization.state import load_weights, save_weights

Networks = Callable[[str], Network]
Graphs = Callable[[str], Path]


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


def test_of_independent_inputs_each_weight_goes_to_the_nearest() -> None:
    weight = torch.randn(5, 12, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    torch.testing.assert_close(on_grid(weight, torch.eye(12, dtype=torch.float64)), nearest(weight))


def test_what_is_left_to_round_is_the_least_squares_answer() -> None:
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
def test_inputs_that_say_nothing_are_no_trouble(moment: torch.Tensor) -> None:
    weight = torch.randn(3, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    weight[1] = 0
    found = on_grid(weight, moment.double())
    assert torch.isfinite(found).all() and not found[1].any()
    assert ((found - weight).abs() <= 8 * weight.abs().amax(dim=1, keepdim=True) / 127).all()


def test_second_moment_by_hand() -> None:
    value = np.arange(2 * 2 * 3 * 4, dtype=np.float32).reshape(2, 2, 3, 4)
    padded = np.pad(value, ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))  # N C H W 3 3
    rows = windows.transpose(0, 2, 3, 1, 4, 5).reshape(-1, 18).astype(np.float64)
    found = second_moment(torch.from_numpy(value), (3, 3))
    np.testing.assert_allclose(found, rows.T @ rows / len(rows))


@pytest.mark.parametrize("length", [1, 2])
@pytest.mark.parametrize("name", ["x1", "mdsr"])
def test_images_smaller_than_a_kernel(
    networks: Networks, crops: torch.Tensor, name: str, length: int
) -> None:
    found = gptq(networks(name), crops[..., :length, :length])
    assert all(np.isfinite(layer.weight).all() for layer in found.layers if isinstance(layer, Conv))


def test_the_graph_keeps_the_codes(networks: Networks, crops: torch.Tensor) -> None:
    """Rounding to the nearest, as the graph does it, changes nothing that GPTQ chose."""
    for conv in (x for x in gptq(networks("six"), crops).layers if isinstance(x, Conv)):
        integers = round_conv(conv, 0.5)
        np.testing.assert_allclose(
            integers.weight * integers.scales.reshape(-1, 1, 1, 1), conv.weight, atol=1e-6
        )


@torch.no_grad()
def test_the_picture_is_nearer_than_with_nearest_rounding(networks: Networks, crops: torch.Tensor) -> None:
    network, images = networks("six"), crops.float()
    wanted = Simulation(network, {})(images, exact=True)
    errors = [
        (Simulation(each, {})(images) - wanted).square().mean() for each in (gptq(network, crops), network)
    ]
    assert errors[0] < errors[1]


def test_layers_in_float_are_left_alone(networks: Networks, crops: torch.Tensor) -> None:
    network = networks("six")
    after = gptq(network, crops, floats={"tail"})
    same = {a.name for a, b in zip(network.layers, after.layers, strict=True) if a is b}
    assert "tail" in same and "head" not in same


def test_equal_bytes_and_what_quantize_reads(
    float_graphs: Graphs, tmp_path: Path, portrait: np.ndarray
) -> None:
    write_png(tmp_path / "images/i.png", portrait)
    images = sorted((tmp_path / "images").iterdir())
    observe(float_graphs("x1"), images, tmp_path / "h.npz", threads=1)
    for name in ("a.npz", "b.npz"):
        round_network(float_graphs("x1"), tmp_path / "h.npz", images, tmp_path / name)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    network = fold(read_network(float_graphs("x1")))
    conv, before = (x.layers[1] for x in (load_weights(tmp_path / "a.npz", network), network))
    assert isinstance(conv, Conv) and isinstance(before, Conv)
    assert (conv.weight != before.weight).any() and (conv.bias == before.bias).all()


def test_weights_of_another_network_are_refused(float_graphs: Graphs, tmp_path: Path) -> None:
    network = fold(read_network(float_graphs("x1")))
    save_weights(tmp_path / "w.npz", replace(network, metadata={"weights_sha256": "0123456789"}))
    with pytest.raises(InputError, match=r"w\.npz: is of weights 01234567, not .*; run round and tune again"):
        load_weights(tmp_path / "w.npz", network)


def test_quantize_takes_rounded_weights_and_the_shared_grid(
    float_graphs: Graphs, tmp_path: Path, portrait: np.ndarray
) -> None:
    write_png(tmp_path / "images/i.png", portrait)
    images, graph = sorted((tmp_path / "images").iterdir()), float_graphs("x1")
    observe(graph, images, tmp_path / "h.npz", threads=1)
    round_network(graph, tmp_path / "h.npz", images, tmp_path / "w.npz")
    quantize(graph, tmp_path / "h.npz", tmp_path, share=True, rounded=tmp_path / "w.npz")
    ranges = read_json(tmp_path / "ranges.json")
    assert ranges["head"] == ranges["body_end"] == ranges["body_end.add"]
    built = {t.name: numpy_helper.to_array(t) for t in onnx.load(tmp_path / "model.onnx").graph.initializer}
    network = load_weights(tmp_path / "w.npz", fold(read_network(graph)))
    for conv in (layer for layer in network.layers if isinstance(layer, Conv)):
        scales = built[f"{conv.name}.weight.scale"].reshape(-1, 1, 1, 1)
        np.testing.assert_allclose(built[f"{conv.name}.weight"] * scales, conv.weight, atol=1e-6)


def test_what_learned_unrounded_is_saved_rounded(
    float_graphs: Graphs, tmp_path: Path, portrait: np.ndarray
) -> None:
    """But layers in float as they learned; and the curve ends with what rounding cost."""
    write_png(tmp_path / "images/i.png", portrait)
    images, graph = sorted((tmp_path / "images").iterdir()), float_graphs("x1")
    options = Preparation(MODEL_CARD, mix=True, gptq=True, tuning=Tuning(steps=2, batch=2, crops=8))
    prepare(graph, tmp_path / "none.npz", images, tmp_path, options, frozenset({"tail"}))
    network = load_weights(tmp_path / "weights.npz", fold(read_network(graph)))
    on_grids = {
        conv.name: np.allclose(codes, np.rint(codes), atol=1e-3)
        for conv in network.layers
        if isinstance(conv, Conv)
        for codes in [conv.weight / np.abs(conv.weight).max(axis=(1, 2, 3), keepdims=True) * 127]
    }
    assert on_grids == {name: name != "tail" for name in on_grids}
    last = (tmp_path / "curve.csv").read_text().splitlines()[-2:]
    assert last[0].startswith("2,") and last[1].startswith("2,nan,")


@pytest.mark.parametrize("damage", [b"", b"not a zip file"])
def test_damaged_weights_are_refused(float_graphs: Graphs, tmp_path: Path, damage: bytes) -> None:
    (tmp_path / "w.npz").write_bytes(damage)
    with pytest.raises(InputError, match=r"w\.npz: not what round or tune writes"):
        load_weights(tmp_path / "w.npz", fold(read_network(float_graphs("x1"))))


def test_no_image_is_refused(float_graphs: Graphs, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no calibration images"):
        round_network(float_graphs("x1"), tmp_path / "h.npz", [], tmp_path / "w.npz")
