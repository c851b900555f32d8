"""Integer arithmetic in float tensors, against Python's and numpy's own integers."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from edsr_int8.targets.integer.linear_combination import (
    LinearCombination,
    Term,
    clip,
    convolve,
    dequantize,
)
from edsr_int8.targets.integer.requantize import fixed_point_rule, float_rule, quantize, tflite_rule

ONE = torch.tensor(1.0)


def term(values: list[int], factor: float = 1.0, zero: float = 0.0) -> Term:
    return Term(torch.tensor(values, dtype=torch.float64), torch.tensor(factor), 2**31, zero)


def convolution(image: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """3x3, zero-padded, in int64."""
    windows = np.lib.stride_tricks.sliding_window_view(
        np.pad(image, ((0, 0), (1, 1), (1, 1))), (3, 3), (1, 2)
    )
    return np.einsum("ihwyx,oiyx->ohw", windows, weight) + bias[:, None, None]


@pytest.mark.parametrize("channels, kind", [(8, torch.float32), (128, torch.float64)])
def test_accumulators_are_exact_however_large(channels: int, kind: torch.dtype) -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(200, 256, (channels, 9, 11)).astype(np.uint8)  # sums run up, not out
    weight = rng.integers(90, 128, (5, channels, 3, 3)).astype(np.int8)
    bias = rng.integers(-99999, 99999, 5).astype(np.int32)
    one, zero = torch.tensor(1.0), torch.tensor(0, dtype=torch.uint8)
    x = dequantize(torch.from_numpy(image)[None], one, zero, axis=1)
    w = dequantize(torch.from_numpy(weight), torch.ones(5), torch.zeros(5, dtype=torch.int8), axis=0)
    b = dequantize(torch.from_numpy(bias), torch.ones(5), torch.zeros(5, dtype=torch.int32), axis=0)
    (found,) = convolve(x, w, b, padding=1).terms
    assert found.integers.dtype == kind
    expected = convolution(image.astype(np.int64), weight.astype(np.int64), bias.astype(np.int64))
    assert np.array_equal(found.integers[0].numpy(), expected)
    assert np.abs(expected).max() <= found.bound


def test_an_accumulator_that_could_overflow_is_refused() -> None:
    one = torch.tensor(1.0)
    x = dequantize(
        torch.zeros(1, 1, 3, 3, dtype=torch.uint8), one, torch.tensor(0, dtype=torch.uint8), axis=1
    )
    w = dequantize(torch.ones(1, 1, 3, 3, dtype=torch.int8), one, torch.tensor(0, dtype=torch.int8), axis=0)
    bias = torch.tensor([2**31 - 100], dtype=torch.int32)
    b = dequantize(bias, one, torch.tensor(0, dtype=torch.int32), axis=0)
    with pytest.raises(ValueError, match="int32 accumulator"):
        convolve(x, w, b, padding=1)


def test_float_rule_rounds_halves_to_even() -> None:
    halves = term([-5, -3, -1, 1, 3, 5])
    assert float_rule([halves], torch.tensor(2.0), 7).tolist() == [5, 5, 7, 7, 9, 9]


def test_fixed_point_rule_rounds_halves_up() -> None:
    halves = term([-5, -3, -1, 1, 3, 5])
    assert fixed_point_rule([halves], torch.tensor(2.0), 7).tolist() == [5, 6, 7, 8, 9, 10]


def test_tflite_rule_rounds_the_high_half_up_and_what_is_shifted_out_away_from_zero() -> None:
    halves = term([-5, -3, -1, 1, 3, 5])
    # 0.5 is a multiplier of 2^30 and no shift: halves up. 1/4 shifts by one more: away from zero.
    assert tflite_rule([halves], torch.tensor(2.0), 7).tolist() == [5, 6, 7, 8, 9, 10]
    assert tflite_rule([term([-6, -2, 2, 6])], torch.tensor(4.0), 7).tolist() == [5, 6, 8, 9]


FACTORS = st.floats(2**-16, 4, width=32)
INTEGERS = st.integers(-(2**30), 2**30)


@given(values=st.lists(INTEGERS, min_size=1, max_size=5), factor=FACTORS)
def test_fixed_point_rule_is_multiply_add_shift(values: list[int], factor: float) -> None:
    found = fixed_point_rule([term(values, factor)], ONE, 0)
    shift = next(s for s in range(63) if 2**30 <= round(Fraction(factor) * 2**s) < 2**31)
    multiplier = round(Fraction(factor) * 2**shift)
    expected = [(value * multiplier + 2 ** (shift - 1)) >> shift for value in values]
    assert found.tolist() == torch.tensor(expected, dtype=torch.float32).tolist()


@given(
    codes=st.tuples(st.integers(0, 255), st.integers(0, 255)),
    zeros=st.tuples(st.integers(0, 255), st.integers(0, 255), st.integers(0, 255)),
    factors=st.tuples(FACTORS, FACTORS),
)
def test_rules_agree_on_sums_but_at_ties(
    codes: tuple[int, int], zeros: tuple[int, int, int], factors: tuple[float, float]
) -> None:
    terms = [term([c - z], f, zero=z) for c, f, z in zip(codes, factors, zeros[:2], strict=True)]
    value = zeros[2] + sum(Fraction(f) * (c - z) for f, c, z in zip(factors, codes, zeros[:2], strict=True))
    if abs(value % 1 - Fraction(1, 2)) > Fraction(1, 1000):
        for rule in (float_rule, fixed_point_rule, tflite_rule):
            assert rule(terms, ONE, zeros[2]).tolist() == [round(value)]


@given(low=st.floats(-300, 0), high=st.floats(1, 300), values=st.lists(st.integers(-400, 400), min_size=1))
def test_clipping_before_rounding_is_clipping_the_real_value(
    low: float, high: float, values: list[int]
) -> None:
    scale, zero = torch.tensor(1.7), torch.tensor(100, dtype=torch.uint8)
    found = quantize(clip(LinearCombination((term(values),)), low, high), scale, zero, float_rule)
    real = torch.tensor(values, dtype=torch.float64).clamp(low, high) / float(scale)
    assert found.tolist() == (real.round() + 100).clamp(0, 255).byte().tolist()
