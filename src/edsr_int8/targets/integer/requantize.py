"""From a linear combination to the codes of a tensor: the one rounding, by onnxruntime's rule or a chip's."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from edsr_int8.targets.integer.linear_combination import LinearCombination, Term

MULTIPLIER_BITS = 31  # of a fixed-point multiplier: a positive int32

# Terms, their factors in steps of the output's scale, the output's zero point -> codes, not yet saturated.
RoundingRule = Callable[[Sequence[Term], Sequence[Tensor], int], Tensor]


def quantize(value: LinearCombination, scale: Tensor, zero_point: Tensor, rule: RoundingRule) -> Tensor:
    """round(value / scale) + zero_point, saturated to the zero point's type. One scale for all channels."""
    limits = torch.iinfo(zero_point.dtype)
    zero, step = int(zero_point), float(scale)
    low, high = (
        float(limit if math.isinf(end) else min(max(round(end / step) + zero, limits.min), limits.max))
        for end, limit in ((value.low, limits.min), (value.high, limits.max))
    )
    codes = rule(value.terms, [term.factor / scale for term in value.terms], zero)
    return codes.clamp_(low, high).to(zero_point.dtype)


def saturate(value: LinearCombination, scale: Tensor, zero_point: Tensor) -> LinearCombination:
    """`value` clamped to what the quantized type can hold, and not rounded."""
    limits = torch.iinfo(zero_point.dtype)
    (term,) = value.terms
    low, high = (
        ((limit - float(zero_point)) * scale / term.factor).round() for limit in (limits.min, limits.max)
    )
    return replace(value, terms=(replace(term, integers=term.integers.clamp(low, high)),))


def float_rule(terms: Sequence[Term], factors: Sequence[Tensor], zero: int) -> Tensor:
    """float32 multipliers, halves to even: what onnxruntime computes on x86-64.

    One term: round(integers * factor) + zero. More: round(codes_1 * factor_1 + (codes_2 * factor_2 +
    offset)), where offset = zero - (zero_1 * factor_1 + zero_2 * factor_2); each multiplication and
    addition together is rounded once, to float32 (onnxruntime: MlasRequantizeOutput, MlasQLinearAdd).
    """
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


def fixed_point_rule(terms: Sequence[Term], factors: Sequence[Tensor], zero: int) -> Tensor:
    """((sum of integers * multiplier + 2^(shift-1)) >> shift) + zero in int64: halves up, as chips round.

    multiplier = round(factor * 2^shift). The shift gives the largest multiplier of each channel 31 bits.
    """
    largest = torch.stack(torch.broadcast_tensors(*factors)).amax(dim=0).double()
    shift = (MULTIPLIER_BITS - torch.frexp(largest).exponent.long()).clamp(1, 62)
    total = torch.bitwise_left_shift(torch.ones_like(shift), shift - 1)
    for term, factor in zip(terms, factors, strict=True):
        multiplier = (factor.double() * torch.exp2(shift.double())).round().long()
        total = total + term.integers.long() * multiplier.clamp(max=2**MULTIPLIER_BITS - 1)
    return torch.bitwise_right_shift(total, shift).float().add_(zero)
