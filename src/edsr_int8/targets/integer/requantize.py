"""From a linear combination to the codes of a tensor: the one rounding, by onnxruntime's rule or a chip's."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from edsr_int8.targets.integer.linear_combination import LinearCombination, Term

MULTIPLIER_BITS = 31  # of a fixed-point multiplier: a positive int32
ADD_SHIFT = 20  # TensorFlow Lite's sums of int8 terms are in units of 2^-20

# Terms, the output's scale and zero point -> codes, not yet saturated.
RoundingRule = Callable[[Sequence[Term], Tensor, int], Tensor]


def quantize(value: LinearCombination, scale: Tensor, zero_point: Tensor, rule: RoundingRule) -> Tensor:
    """round(value / scale) + zero_point, saturated to the zero point's type. One scale for all channels."""
    limits = torch.iinfo(zero_point.dtype)
    zero, step = int(zero_point), float(scale)
    low, high = (
        float(limit if math.isinf(end) else min(max(round(end / step) + zero, limits.min), limits.max))
        for end, limit in ((value.low, limits.min), (value.high, limits.max))
    )
    codes = rule(value.terms, scale, zero)
    return codes.clamp_(low, high).to(zero_point.dtype)


def saturate(value: LinearCombination, scale: Tensor, zero_point: Tensor) -> LinearCombination:
    """`value` clamped to what the quantized type can hold, and not rounded."""
    limits = torch.iinfo(zero_point.dtype)
    (term,) = value.terms
    low, high = (
        ((limit - float(zero_point)) * scale / term.factor.float()).round()
        for limit in (limits.min, limits.max)
    )
    return replace(value, terms=(replace(term, integers=term.integers.clamp(low, high)),))


def _in_steps(terms: Sequence[Term], scale: Tensor) -> list[Tensor]:
    """The terms' factors in steps of the output's scale, as float32 has them."""
    return [term.factor.float() / scale for term in terms]


def float_rule(terms: Sequence[Term], scale: Tensor, zero: int) -> Tensor:
    """float32 multipliers, halves to even: what onnxruntime computes on x86-64.

    One term: round(integers * factor) + zero. More: round(codes_1 * factor_1 + (codes_2 * factor_2 +
    offset)), where offset = zero - (zero_1 * factor_1 + zero_2 * factor_2); each multiplication and
    addition together is rounded once, to float32 (onnxruntime: MlasRequantizeOutput, MlasQLinearAdd).
    """
    factors = _in_steps(terms, scale)
    if len(terms) == 1:
        return (terms[0].integers.float() * factors[0]).round_().add_(zero)
    last_first = list(zip(terms, factors, strict=True))[::-1]
    zeros = torch.zeros(())
    for term, factor in last_first:
        zeros = _multiply_add(torch.tensor(term.zero), factor, zeros)
    total = zero - zeros
    for term, factor in last_first:
        total = _multiply_add(term.integers + term.zero, factor, total)
    return total.round_()


def _multiply_add(x: Tensor, factor: Tensor, addend: Tensor) -> Tensor:
    """x * factor + addend with one rounding, to float32: a fused multiply-add."""
    return torch.addcmul(addend.double(), x.double(), factor.double()).float()


def fixed_point_rule(terms: Sequence[Term], scale: Tensor, zero: int) -> Tensor:
    """((sum of integers * multiplier + 2^(shift-1)) >> shift) + zero in int64: halves up, as chips round.

    multiplier = round(factor * 2^shift). The shift gives the largest multiplier of each channel 31 bits.
    """
    factors = _in_steps(terms, scale)
    largest = torch.stack(torch.broadcast_tensors(*factors)).amax(dim=0).double()
    shift = (MULTIPLIER_BITS - torch.frexp(largest).exponent.long()).clamp(1, 62)
    total = torch.bitwise_left_shift(torch.ones_like(shift), shift - 1)
    for term, factor in zip(terms, factors, strict=True):
        multiplier = (factor.double() * torch.exp2(shift.double())).round().long()
        total = total + term.integers.long() * multiplier.clamp(max=2**MULTIPLIER_BITS - 1)
    return torch.bitwise_right_shift(total, shift).float().add_(zero)


def tflite_rule(terms: Sequence[Term], scale: Tensor, zero: int) -> Tensor:
    """The rule of TensorFlow Lite's reference kernels, in int64.

    One term: its integers times the exact quotient of scales, by `_multiply`. A sum: each term in units of
    2^-20 of twice the coarser scale, rounded; their sum rounded once more (reference/integer_ops/add.h).
    """
    if len(terms) == 1:
        return (
            _multiply(terms[0].integers.long(), terms[0].factor.double() / scale.double()).float().add_(zero)
        )
    unit = 2 * torch.stack([term.factor.double() for term in terms]).amax(dim=0)
    total = torch.zeros((), dtype=torch.int64)
    for term in terms:
        total = total + _multiply(term.integers.long() << ADD_SHIFT, term.factor.double() / unit)
    return _multiply(total, unit / (scale.double() * 2**ADD_SHIFT)).float().add_(zero)


def _multiply(integers: Tensor, factor: Tensor) -> Tensor:
    """integers * factor as gemmlowp rounds it, twice: to the high half of a product of 32 bits, then a shift.

    The factor is a 31-bit multiplier and a power of two (QuantizeMultiplier). Halves go up in the first
    rounding (SaturatingRoundingDoublingHighMul), away from zero in the second (RoundingDivideByPOT).
    """
    mantissa, exponent = torch.frexp(factor)
    multiplier, exponent = (mantissa * 2.0**MULTIPLIER_BITS).round().long(), exponent.long()
    product = (integers << exponent.clamp(min=0)) * multiplier
    nudge = torch.where(product >= 0, 2**30, 1 - 2**30)
    high = torch.div(product + nudge, 2**MULTIPLIER_BITS, rounding_mode="trunc")
    shift = (-exponent).clamp(min=0)
    mask = (torch.ones_like(shift) << shift) - 1
    up = (high & mask) > (mask >> 1) + (high < 0)
    return (high >> shift) + up
