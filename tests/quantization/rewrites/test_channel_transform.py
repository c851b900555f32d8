"""Channel bases: which tensors share one, and that no other basis rounds better. (Exact: test_exact.)"""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edsr_int8.quantization.ir.layers import Network
from edsr_int8.quantization.rewrites import channel_transform
from edsr_int8.quantization.rewrites.channel_transform import (
    best_transform,
    channels,
    linear_bases,
    transform_channels,
)
from edsr_int8.quantization.rewrites.fold_long_skip import CONCAT, TAPS, fold_long_skip

Networks = Callable[[str], Network]
NAMES = ["x1", "x4", "direct", "mdsr", "six"]  # six features: no power of two


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


@pytest.mark.parametrize("name", NAMES)
def test_trunk_and_upsampled_tensors_have_a_basis(networks: Networks, name: str) -> None:
    bases = linear_bases(networks(name))
    assert [set(found) for found in bases] == BASES[name]
    assert {channels(networks(name), found) for found in bases} == {6 if name == "six" else 8}


@pytest.mark.parametrize("name", ["x1", "x4", "direct", "six"])
def test_trunk_has_a_basis_of_its_own_without_the_long_skip(networks: Networks, name: str) -> None:
    bases = linear_bases(fold_long_skip(networks(name)))
    assert {"body_end"} in bases and not any({TAPS, CONCAT} & basis for basis in bases)


def test_matrix_without_inverse_is_refused(networks: Networks) -> None:
    with pytest.raises(np.linalg.LinAlgError):
        transform_channels(networks("x1"), linear_bases(networks("x1"))[0], np.zeros((8, 8)))


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
    found = best_transform([signal], [gain])
    signal, gain = channel_transform._ridged(signal), channel_transform._ridged(gain)
    least = noise(found, signal, gain)
    eigenvalues = np.linalg.eigvals(gain @ signal).real
    assert least == pytest.approx(np.sqrt(eigenvalues).sum() ** 2 / count, rel=1e-9)
    rotation = np.linalg.qr(random.normal(size=(count, count)))[0]
    diagonal = np.diag(np.diag(signal) ** -0.5)
    for other in (np.eye(count), rotation, diagonal, diagonal @ rotation, found + 0.01 * rotation):
        assert least <= noise(other, signal, gain) * (1 + 1e-9)


def test_without_a_ridge_it_is_the_best_for_the_covariances_themselves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(channel_transform, "RIDGE", 1e-12)
    random = np.random.default_rng(0)
    signal, gain = covariance(random, 8), covariance(random, 8)
    least = np.sqrt(np.linalg.eigvals(gain @ signal).real).sum() ** 2 / 8
    assert noise(best_transform([signal], [gain]), signal, gain) == pytest.approx(least, rel=1e-6)


@pytest.mark.parametrize("count", [1, 2, 3, 12, 24, 64])
def test_every_channel_gets_the_same_variance(count: int) -> None:
    """Hadamard's matrix spreads evenly; Hartley's, where there is none, to within a factor of two."""
    random = np.random.default_rng(count)
    signal, gain = covariance(random, count), covariance(random, count)
    matrix = best_transform([signal], [gain])
    variances = np.diag(matrix @ channel_transform._ridged(signal) @ matrix.T)
    power_of_two = count & (count - 1) == 0
    assert variances.max() / variances.mean() < (1 + 1e-9 if power_of_two else 2)


def test_signal_that_is_zero_everywhere_leaves_a_basis_that_can_be_inverted() -> None:
    matrix = best_transform([np.zeros((4, 4))], [np.eye(4)])
    assert np.isfinite(np.linalg.inv(matrix)).all()
