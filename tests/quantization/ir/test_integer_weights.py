"""Integer weights and biases, by the bounds that rounding must keep."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from edsr_int8.quantization.ir.integer_weights import IntegerConv, round_conv
from edsr_int8.quantization.ir.layers import Conv

numbers = st.floats(-1e3, 1e3, width=32)


def conv(weight: np.ndarray, bias: np.ndarray, expected: np.ndarray | None = None) -> Conv:
    return Conv("conv", ("x",), weight, bias, expected=expected)


def as_float(of: IntegerConv, input_scale: float) -> tuple[np.ndarray, np.ndarray]:
    scales = of.scales.astype(np.float64)
    return of.weight * scales.reshape(-1, 1, 1, 1), of.bias * scales * input_scale


@given(arrays(np.float32, (3, 2, 3, 3), elements=numbers), arrays(np.float32, 3, elements=numbers))
def test_rounding_moves_nothing_by_more_than_half_a_step(weight: np.ndarray, bias: np.ndarray) -> None:
    rounded = round_conv(conv(weight, bias), 0.25)
    weights, biases = as_float(rounded, 0.25)
    steps = rounded.scales.astype(np.float64)
    assert (np.abs(weights - weight).max(axis=(1, 2, 3)) <= steps / 2 * (1 + 1e-6)).all()
    # A float32 scale moves a bias of up to 2^30 steps by its own rounding, too.
    assert (np.abs(biases - bias) <= steps * 0.25 / 2 + np.abs(bias) * 1e-6).all()
    assert np.abs(rounded.weight).max() <= 127


def test_channel_without_weights_keeps_its_bias() -> None:
    rounded = round_conv(conv(np.zeros((2, 1, 3, 3)), np.array([12.5, 0])), 1e-3)
    np.testing.assert_allclose(as_float(rounded, 1e-3)[1], [12.5, 0], rtol=1e-6)


def test_expected_input_gives_the_expected_output() -> None:
    rng = np.random.default_rng(0)
    weight, bias, expected = rng.normal(size=(4, 3, 3, 3)), rng.normal(size=4), np.array([114.4, 111.5, 255])
    exact = weight.sum(axis=(2, 3)) @ expected + bias
    rounded = round_conv(conv(weight, bias, expected), 1.0)
    weights, biases = as_float(rounded, 1.0)
    steps = rounded.scales.astype(np.float64)
    assert (np.abs(weights.sum(axis=(2, 3)) @ expected + biases - exact) <= steps / 2 * (1 + 1e-9)).all()
