"""The last shuffle behind the last convolution: exact, less work, and in float less loss."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from reference import nchw, output

from edsr_int8.data.images import write_png
from edsr_int8.errors import InputError
from edsr_int8.quantization import state as tuned
from edsr_int8.quantization.analysis.losses import Loss, write_losses
from edsr_int8.quantization.analysis.mixed_precision import conv_macs, floats_of, shares
from edsr_int8.quantization.calibration.observe import observe
from edsr_int8.quantization.ir.layers import IMAGE, Conv, Network, Shuffle, measured, read_network
from edsr_int8.quantization.passes import prepare
from edsr_int8.quantization.quantize import quantize
from edsr_int8.quantization.recipe import MODEL_CARD, Preparation, Tuning
from edsr_int8.quantization.rewrites.collapse_tail import narrow
from edsr_int8.quantization.rewrites.fold import fold
from edsr_int8.quantization.simulation.quantsim import Simulation
from edsr_int8.targets.base import open_target
from edsr_int8.targets.row import TargetRow

Networks = Callable[[str], Network]
Graphs = Callable[[str], Path]
SUMS = ("body.*.add", "body_end.add")


def ending(features: int, factor: int, kernel: int) -> Network:
    """A convolution, a shuffle and a convolution of random weights."""
    random = np.random.default_rng(factor)
    wide = random.normal(0, 0.1, (features * factor**2, 3, 3, 3))
    last = random.normal(0, 0.1, (3, features, kernel, kernel))
    layers = (
        Conv("wide", (IMAGE,), wide, random.normal(0, 9, len(wide))),
        Shuffle("shuffle", ("wide",), factor),
        Conv("last", ("shuffle",), last, random.normal(0, 9, 3)),
    )
    return Network(layers, {})


@pytest.mark.parametrize(("factor", "kernel", "parts"), [(2, 3, 48), (3, 3, 75), (2, 1, 12), (2, 7, 192)])
@pytest.mark.parametrize("shape", [(9, 7), (2, 3), (1, 1)])
def test_the_output_stays(
    portrait: np.ndarray, factor: int, kernel: int, parts: int, shape: tuple[int, int]
) -> None:
    """Borders included: an image of one pixel is nothing else."""
    network, image = ending(5, factor, kernel), portrait[60 : 60 + shape[0], 40 : 40 + shape[1]]
    narrowed = narrow(network)
    first, second, shuffle = narrowed.layers
    assert isinstance(first, Conv) and isinstance(second, Conv) and isinstance(shuffle, Shuffle)
    assert len(first.bias) == parts and len(second.bias) == 3 * factor**2
    before, after = output(network, image), output(narrowed, image)
    assert before.shape == after.shape and before.std() > 1 and np.abs(before - after).max() < 1e-9


@pytest.mark.parametrize("name", ["x4", "six", "mdsr"])
def test_the_output_of_a_network_stays(networks: Networks, portrait: np.ndarray, name: str) -> None:
    network, image = networks(name), portrait[60:73, 40:56]
    narrowed = narrow(network)
    assert isinstance(narrowed.layers[-1], Shuffle)
    assert np.abs(output(network, image) - output(narrowed, image)).max() < 1e-9


def test_the_output_stays_in_a_real_network(real_graphs: Graphs, portrait: np.ndarray) -> None:
    network, image = fold(read_network(real_graphs("r8f64"))), portrait[60:72, 40:49]
    narrowed = narrow(network)
    assert np.abs(output(network, image) - output(narrowed, image)).max() < 1e-9
    before, after = conv_macs(network), conv_macs(narrowed)
    assert after["upsample.0"] + after["tail"] < 0.22 * (before["upsample.0"] + before["tail"])


@torch.no_grad()
def test_the_output_stays_in_float32(real_graphs: Graphs, portrait: np.ndarray) -> None:
    network = fold(read_network(real_graphs("r8f64")))
    image = torch.from_numpy(nchw(portrait[:64, :64], np.float32))
    before, after = (Simulation(n, {})(image, exact=True) for n in (network, narrow(network)))
    assert (before - after).abs().max() < 1e-3


@pytest.mark.parametrize("name", ["x1", "direct"])
def test_what_has_no_such_end_stays(networks: Networks, name: str) -> None:
    network = networks(name)
    assert narrow(network) is network


def test_what_bends_or_is_read_twice_stays() -> None:
    network = ending(5, 2, 3)
    wide, shuffle, last = network.layers
    assert isinstance(wide, Conv)
    for layers in (
        (replace(wide, low=0.0), shuffle, last),
        (wide, shuffle, Conv("other", ("wide",), np.ones((1, 20, 1, 1)), np.zeros(1)), last),
        (wide, shuffle),
    ):
        changed = replace(network, layers=layers)
        assert narrow(changed) is changed


def mixed(graph: Path, image: np.ndarray, folder: Path, *, patterns: tuple[str, ...], **more: Any) -> Path:
    """A narrowed build with the layers in float that `patterns` name."""
    write_png(folder / "images/i.png", image)
    images, histograms = [folder / "images/i.png"], folder / "h.npz"
    observe(graph, images, histograms, threads=1)
    bypass = more.get("bypass", False)
    floats = floats_of(graph, folder / "none", patterns, 0, narrowed=True, bypass=bypass)
    options = Preparation(
        MODEL_CARD, narrow=True, gptq=True, tuning=Tuning(steps=2, batch=2, crops=8, patch=16), **more
    )
    prepare(graph, histograms, images, folder / "tune", options, floats)
    quantize(graph, histograms, folder / "int8", narrowed=True, bypass=bypass, prepared=folder / "tune")
    return folder / "int8/model.onnx"


@pytest.mark.parametrize("patterns", [(*SUMS, "upsample.1", "tail"), ("tail",), SUMS])
@pytest.mark.parametrize("more", [{}, {"mix": True}, {"bypass": True, "mix": True, "even": True}])
def test_learned_and_saved_and_built(
    float_graphs: Graphs,
    tmp_path: Path,
    portrait: np.ndarray,
    patterns: tuple[str, ...],
    more: dict[str, Any],
) -> None:
    """The graph is that of the simulation, whichever of the two convolutions stay in float."""
    graph = float_graphs("x4")
    model = mixed(graph, portrait, tmp_path, patterns=patterns, **more)
    network = narrow(fold(read_network(graph)))
    network, grids, floats = tuned.load(tmp_path / "tune", network, bypass=more.get("bypass", False))
    image = nchw(portrait[80:120, 40:90], np.uint8)
    built = open_target(TargetRow("onnxruntime", 1, 4096)).load(model)(image)
    with torch.no_grad():
        wanted = Simulation(network, grids, floats=floats)(torch.from_numpy(image).float())
    difference = np.abs(wanted.clamp(0, 255).round().numpy() - built)
    assert difference.max() <= 4 and (difference > 0).mean() < 0.02


def test_tune_and_quantize_must_agree(float_graphs: Graphs, tmp_path: Path, portrait: np.ndarray) -> None:
    graph = float_graphs("x4")
    mixed(graph, portrait[:64, :64], tmp_path, patterns=("tail",))
    with pytest.raises(InputError, match="narrow is built with what tune leaves"):
        quantize(graph, tmp_path / "h.npz", tmp_path / "int8", narrowed=True, prepared=tmp_path / "nothing")
    with pytest.raises(InputError, match=r"upsample\.1 is .* run it again"):
        quantize(graph, tmp_path / "h.npz", tmp_path / "int8", prepared=tmp_path / "tune")


def test_a_budget_reaches_further(real_graphs: Graphs, tmp_path: Path) -> None:
    """Of losses measured on the network as it was: both convolutions fit where one did not."""
    network, losses = fold(read_network(real_graphs("r8f64"))), tmp_path / "losses.csv"
    rows = [Loss(name, "tensor", 0.1, 0.9, 0.1) for name in measured(network)]
    rows += [Loss(name, "weights", 0.1, 0.9, 0.1) for name in conv_macs(network)]
    write_losses(losses, [Loss("all", "all", 1, 0, 0), *rows])
    both = {"upsample.0", "tail"}
    assert not both <= floats_of(real_graphs("r8f64"), losses, (), 0.15)
    chosen = floats_of(real_graphs("r8f64"), losses, (), 0.15, narrowed=True)
    assert both <= chosen and 0.1 < shares(narrow(network), chosen)[0] <= 0.15
