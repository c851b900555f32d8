"""Small networks as the export stage writes them, and small photographs."""

from collections.abc import Callable
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from int8_build import build, observed
from skimage import data

from edsr_int8.checkpoints.convert import convert, load_network
from edsr_int8.checkpoints.facts import NetworkFacts
from edsr_int8.data.images import write_png
from edsr_int8.export import float_graph
from edsr_int8.models.build import build as build_module
from edsr_int8.models.description import Description
from edsr_int8.onnx_file import write_onnx
from edsr_int8.quantization.ir.layers import Network
from edsr_int8.quantization.ir.read_onnx import read_network
from edsr_int8.quantization.passes import run
from edsr_int8.quantization.recipe import Recipe
from edsr_int8.quantization.rewrites.fold import fold
from edsr_int8.quantization.state import QuantizedNetwork

PERCENTILE = Recipe("int8", "percentile", 99.99)
X2 = Description("edsr", 8, 2, 2, 1.0, "pixelshuffle")
NETWORKS = {
    "x1": replace(X2, upsampler="none", scale=1),
    "x4": replace(X2, scale=4, res_scale=0.1),
    "direct": replace(X2, upsampler="direct"),
    "mdsr": replace(X2, network="mdsr", blocks=1),
    "six": replace(X2, features=6, blocks=1),
    "wide": replace(X2, features=48, blocks=1),
}

REAL = {
    "r8f64": ("edsr_r8f64x2_official.pt", replace(X2, features=64, blocks=8)),
    "mobile": ("edsr_mobile_f32b5x2.pt", replace(X2, features=32, blocks=5, upsampler="direct")),
}


@pytest.fixture(scope="session")
def float_graphs(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The float graph of one of NETWORKS, with random weights."""
    folder = tmp_path_factory.mktemp("graphs")

    @cache
    def graph(name: str) -> Path:
        torch.manual_seed(0)
        module = build_module(NETWORKS[name]).eval()
        with torch.no_grad():  # so that signals neither fade from layer to layer nor leave 0..255
            for layer in module.modules():
                if isinstance(layer, torch.nn.Conv2d):
                    layer.weight *= 3**0.5
            module.tail.bias += 120 if name == "direct" else 0
        more = {"params": 1, "macs_per_pixel": 1, "receptive_radius": 7, "weights_sha256": "0a"}
        facts = NetworkFacts(**asdict(NETWORKS[name]), source="official", **more)
        write_onnx(float_graph(module, facts), folder / f"{name}.onnx")
        return folder / f"{name}.onnx"

    return graph


@pytest.fixture(scope="session")
def real_graphs(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The float graph of one of REAL, trained networks."""
    folder = tmp_path_factory.mktemp("real")

    @cache
    def graph(name: str) -> Path:
        weights, description = REAL[name]
        convert(shared / "weights" / weights, "official", description, folder / name)
        write_onnx(float_graph(*load_network(folder / name)), folder / f"{name}.onnx")
        return folder / f"{name}.onnx"

    return graph


@pytest.fixture(scope="session")
def int8_graphs(
    float_graphs: Callable[[str], Path], portrait: np.ndarray, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Path]:
    """The int8 build of one of NETWORKS, calibrated on a photograph."""
    folder = tmp_path_factory.mktemp("int8")

    @cache
    def graph(name: str) -> Path:
        calibration = observed(float_graphs(name), folder / name, portrait[:60, :80])
        return build(PERCENTILE, calibration, folder / name / "int8")

    return graph


@pytest.fixture(scope="session")
def networks(float_graphs: Callable[[str], Path]) -> Callable[[str], Network]:
    """One of NETWORKS, folded."""
    return lambda name: fold(read_network(float_graphs(name)))


@pytest.fixture(scope="session")
def quantized(
    float_graphs: Callable[[str], Path], portrait: np.ndarray, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], QuantizedNetwork]:
    """One of NETWORKS, folded and on the grids that int8_graphs has."""
    folder = tmp_path_factory.mktemp("quantized")

    @cache
    def state(name: str) -> QuantizedNetwork:
        return run(PERCENTILE, observed(float_graphs(name), folder / name, portrait[:60, :80]))

    return state


@pytest.fixture(scope="session")
def crops(portrait: np.ndarray) -> torch.Tensor:
    """uint8 NCHW, twelve of 16x16."""
    cut = [portrait[y : y + 16, x : x + 16] for y in (20, 60, 100, 140) for x in (20, 60, 100)]
    return torch.from_numpy(np.stack(cut).transpose(0, 3, 1, 2).copy())


@pytest.fixture(scope="session")
def portrait() -> np.ndarray:
    """uint8 HWC RGB, 200x150: a face before a flag."""
    return data.astronaut()[20:220, 160:310]


@pytest.fixture
def images(tmp_path: Path, portrait: np.ndarray) -> list[Path]:
    """Three photographs of different shapes, one smaller than any network's receptive field."""
    photographs = [portrait[:40, :33], portrait[80:82, 40:43], data.coffee()[100:131, 200:220]]
    for i, photograph in enumerate(photographs):
        write_png(tmp_path / f"images/{i}.png", photograph)
    return sorted((tmp_path / "images").iterdir())
