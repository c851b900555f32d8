"""Rewrites that mix or scale channels: what they touch, that nothing changes, that none rounds better."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import nchw, output

from edsr_int8.quantization.ir.float_onnx import float_model
from edsr_int8.quantization.ir.layers import IMAGE, Conv, Network, read_network
from edsr_int8.quantization.rewrites import channel_transform as basis
from edsr_int8.quantization.rewrites.channel_transform import (
    best_basis,
    change_basis,
    channels,
    even_out,
    linear_bases,
)
from edsr_int8.quantization.rewrites.fold import fold
from edsr_int8.quantization.simulation.channel_statistics import channel_peaks, mix, statistics
from edsr_int8.quantization.simulation.quantsim import Simulation

Networks = Callable[[str], Network]
NAMES = ["x1", "x4", "direct", "mdsr", "six"]  # six features: no power of two
FLOAT64_TOLERANCE = 1e-9  # grey levels
FLOAT32_TOLERANCE = 1e-3


def trunk(*blocks: str) -> set[str]:
    inner = {f"{block}.{layer}" for block in blocks for layer in ("conv2", "conv2.add")}
    return {"head", *inner, "body_end", "body_end.add"}


BASES = {
    "x1": [trunk("body.0", "body.1")],
    "direct": [trunk("body.0", "body.1")],
    "x4": [
        trunk("body.0", "body.1"),
        {"upsample.0", "upsample.0.shuffle"},
        {"upsample.1", "upsample.1.shuffle"},
    ],
    "six": [trunk("body.0"), {"upsample.0", "upsample.0.shuffle"}],
    "mdsr": [trunk("pre.0", "pre.1", "body.0"), {"upsample.0", "upsample.0.shuffle"}],
}


def run32(network: Network, image: np.ndarray) -> np.ndarray:
    model = float_model(network.layers, [IMAGE], [network.layers[-1].name])
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {IMAGE: nchw(image, np.float32)})[0]


def assert_same_function(before: Network, after: Network, image: np.ndarray) -> None:
    """On every pixel, borders included; and the weights are others."""
    pairs = zip(before.layers, after.layers, strict=True)
    assert any(isinstance(x, Conv) and not np.allclose(x.weight, y.weight) for x, y in pairs)
    small = image[60:72, 40:53]
    assert np.abs(output(before, small) - output(after, small)).max() < FLOAT64_TOLERANCE
    large = image[40:104, 30:80]
    assert np.abs(run32(before, large) - run32(after, large)).max() < FLOAT32_TOLERANCE


@pytest.mark.parametrize("name", NAMES)
def test_trunk_and_upsampled_tensors_have_a_basis(networks: Networks, name: str) -> None:
    bases = linear_bases(networks(name))
    assert [set(found) for found in bases] == BASES[name]
    assert {channels(networks(name), found) for found in bases} == {6 if name == "six" else 8}


@pytest.mark.parametrize("name", NAMES)
def test_any_invertible_matrix_changes_nothing(networks: Networks, portrait: np.ndarray, name: str) -> None:
    before, random = networks(name), np.random.default_rng(0)
    after = before
    for found in linear_bases(before):
        count = channels(before, found)
        turns = [np.linalg.qr(random.normal(size=(count, count)))[0] for _ in range(2)]
        matrix = turns[0] @ np.diag(np.exp(random.uniform(-1, 1, count))) @ turns[1]
        after = change_basis(after, found, matrix)
    assert_same_function(before, after, portrait)


def test_matrix_without_inverse_is_refused(networks: Networks) -> None:
    with pytest.raises(np.linalg.LinAlgError):
        change_basis(networks("x1"), linear_bases(networks("x1"))[0], np.zeros((8, 8)))


@pytest.mark.parametrize("name", NAMES)
def test_mixing_and_evening_out_change_nothing(
    networks: Networks, crops: torch.Tensor, portrait: np.ndarray, name: str
) -> None:
    mixed = mix(networks(name), crops, seed=0)
    assert_same_function(networks(name), mixed, portrait)
    even = even_out(mixed, channel_peaks(mixed, crops))
    assert_same_function(mixed, even, portrait)


def test_mixing_changes_nothing_in_a_real_network(
    real_graphs: Callable[[str], Path], crops: torch.Tensor, portrait: np.ndarray
) -> None:
    network = fold(read_network(real_graphs("r8f64")))
    mixed = mix(network, crops[:4], seed=0)
    assert_same_function(network, even_out(mixed, channel_peaks(mixed, crops[:4])), portrait)


def covariance(random: np.random.Generator, count: int) -> np.ndarray:
    """Of channels that differ a hundred times in size, as trunks have them."""
    factor = random.normal(size=(count, count)) * np.exp(random.normal(size=count))
    return factor @ factor.T


def noise(matrix: np.ndarray, signal: np.ndarray, gain: np.ndarray) -> float:
    """What one grid over all channels costs the output in this basis, but for a factor."""
    inverse = np.linalg.inv(matrix)
    return float(np.trace(gain @ inverse @ inverse.T) * np.diag(matrix @ signal @ matrix.T).mean())


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 2, 3, 8, 12]))
def test_no_other_basis_rounds_better(seed: int, count: int) -> None:
    """Of the ridged covariances, where the least there is comes in closed form."""
    random = np.random.default_rng(seed)
    signal, gain = covariance(random, count), covariance(random, count)
    found = best_basis([signal], [gain])
    signal, gain = basis._ridged(signal), basis._ridged(gain)
    least = noise(found, signal, gain)
    eigenvalues = np.linalg.eigvals(gain @ signal).real
    assert least == pytest.approx(np.sqrt(eigenvalues).sum() ** 2 / count, rel=1e-9)
    rotation = np.linalg.qr(random.normal(size=(count, count)))[0]
    diagonal = np.diag(np.diag(signal) ** -0.5)
    for other in (np.eye(count), rotation, diagonal, diagonal @ rotation, found + 0.01 * rotation):
        assert least <= noise(other, signal, gain) * (1 + 1e-9)


def test_without_a_ridge_it_is_the_best_for_the_very_covariances(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(basis, "RIDGE", 1e-12)
    random = np.random.default_rng(0)
    signal, gain = covariance(random, 8), covariance(random, 8)
    least = np.sqrt(np.linalg.eigvals(gain @ signal).real).sum() ** 2 / 8
    assert noise(best_basis([signal], [gain]), signal, gain) == pytest.approx(least, rel=1e-6)


@pytest.mark.parametrize("count", [1, 2, 3, 12, 24, 64])
def test_every_channel_gets_the_same_variance(count: int) -> None:
    """Hadamard's matrix spreads evenly; Hartley's, where there is none, to within a factor of two."""
    random = np.random.default_rng(count)
    signal, gain = covariance(random, count), covariance(random, count)
    matrix = best_basis([signal], [gain])
    variances = np.diag(matrix @ basis._ridged(signal) @ matrix.T)
    power_of_two = count & (count - 1) == 0
    assert variances.max() / variances.mean() < (1 + 1e-9 if power_of_two else 2)


def test_signal_that_is_zero_everywhere_leaves_a_basis_that_can_be_inverted() -> None:
    matrix = best_basis([np.zeros((4, 4))], [np.eye(4)])
    assert np.isfinite(np.linalg.inv(matrix)).all()


@torch.no_grad()
def test_gain_tells_how_far_noise_reaches(networks: Networks, crops: torch.Tensor) -> None:
    network, name, deviation = networks("x4"), "body.0.conv2.add", 1e-2
    random, simulation = torch.Generator().manual_seed(1), Simulation(network, {})
    signal = []

    def disturb(of: str, value: torch.Tensor) -> torch.Tensor:
        if of != name:
            return value
        signal.append(value.double().numpy())
        return value + deviation * torch.randn(value.shape, generator=random)

    exact = simulation(crops.float(), exact=True)
    difference = simulation(crops.float(), exact=True, see=disturb) - exact
    with torch.enable_grad():
        found = statistics(network, [name], crops, seed=0)[name]
    np.testing.assert_allclose(
        np.trace(found.gain), float(difference.square().mean()) / deviation**2, rtol=0.1
    )
    second_moment = np.einsum("nchw,ndhw->cd", signal[0], signal[0]) / signal[0][:, 0].size
    np.testing.assert_allclose(found.signal, second_moment, rtol=1e-4, atol=1e-3)
