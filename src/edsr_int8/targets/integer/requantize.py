"""What a quantized graph computes between two roundings: sums of integers times real factors, exactly.

Integers are held in float tensors, as these have the fast kernels: float32 holds and adds integers
exactly, in any order, while no sum can reach 2^24; float64 takes over where one could.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

EXACT_FLOAT32 = 2**24  # all integers up to here are float32 numbers
ACCUMULATOR = 2**31  # an int32 accumulator holds less
MULTIPLIER_BITS = 31  # of a fixed-point multiplier: a positive int32


@dataclass(frozen=True)
class Term:
    """integers * factor; the factor is one number, or one for each channel (C, 1, 1)."""

    integers: Tensor
    factor: Tensor  # float32
    bound: int  # no |integer| is larger, whatever the image
    zero: float = 0.0  # what was subtracted from codes to get the integers


@dataclass(frozen=True)
class Sum:
    """The sum of its terms, clipped to low..high."""

    terms: tuple[Term, ...]
    low: float = -math.inf
    high: float = math.inf


# From terms, their factors in steps of the output's scale, and its zero point, to codes not yet saturated.
Rule = Callable[[Sequence[Term], Sequence[Tensor], int], Tensor]


def dequantize(codes: Tensor, scale: Tensor, zero_point: Tensor, *, axis: int) -> Sum:
    """(codes - zero_point) * scale, of uint8, int8 or int32 codes."""
    if scale.numel() > 1:
        shape = [-1 if i == axis else 1 for i in range(codes.ndim)]
        scale, zero_point = scale.reshape(shape), zero_point.reshape(shape)
    else:
        scale, zero_point = scale.reshape(()), zero_point.reshape(())
    limits = torch.iinfo(codes.dtype)
    bound = int(max((limits.max - zero_point.double()).max(), (zero_point.double() - limits.min).max()))
    integers = codes.to(_kind(bound)) - zero_point.to(_kind(bound))
    zero = float(zero_point) if zero_point.numel() == 1 else 0.0
    return Sum((Term(integers, scale.float(), bound, zero),))


def convolve(image: Sum, weight: Sum, bias: Sum | None, **options: Any) -> Sum:
    """int32 accumulators of a convolution. ValueError where they could overflow or are no integers.

    The factor is the float32 product of the image's and the weight's; bias must be in steps of it.
    """
    if len(image.terms) != 1 or image.terms[0].factor.ndim:
        raise ValueError("its input is no tensor of one scale")
    _require_unclipped(image)
    (x,), (w,) = image.terms, weight.terms
    factor = x.factor * w.factor.reshape(-1, 1, 1)
    reach = w.integers.double().abs().sum(dim=(1, 2, 3)) * x.bound
    offset = None
    if bias is not None:
        (b,) = bias.terms
        if not torch.allclose(b.factor.reshape(-1), factor.reshape(-1), rtol=1e-6, atol=0):
            raise ValueError("its bias is not in steps of input scale x weight scale")
        offset = b.integers
        reach = reach + offset.double().abs()
    bound = int(reach.max())
    if bound >= ACCUMULATOR:
        raise ValueError(f"its sums can reach {bound}, more than an int32 accumulator holds")
    kind = _kind(bound)
    offset = None if offset is None else offset.to(kind)
    integers = functional.conv2d(x.integers.to(kind), w.integers.to(kind), offset, **options)
    return Sum((Term(integers, factor, bound),))


def clip(value: Sum, low: float, high: float) -> Sum:
    return replace(value, low=max(value.low, low), high=min(value.high, high))


def add(first: Sum, second: Sum) -> Sum:
    """ValueError where one of them is clipped: what comes of it is no sum of integers."""
    _require_unclipped(first)
    _require_unclipped(second)
    return Sum(first.terms + second.terms)


def _require_unclipped(value: Sum) -> None:
    if math.isfinite(value.low) or math.isfinite(value.high):
        raise ValueError("its input is clipped but not quantized")


def rearrange(value: Sum, move: Callable[[Tensor], Tensor]) -> Sum:
    """Pixels moved to other places by `move`."""
    if any(term.factor.ndim for term in value.terms):
        raise ValueError("it moves channels of different scales")
    return replace(value, terms=tuple(replace(t, integers=move(t.integers)) for t in value.terms))


def saturate(value: Sum, scale: Tensor, zero_point: Tensor) -> Sum:
    """What quantize would clip, clipped; what it would round, left as it is."""
    limits = torch.iinfo(zero_point.dtype)
    (term,) = value.terms
    low, high = (
        ((limit - float(zero_point)) * scale / term.factor).round() for limit in (limits.min, limits.max)
    )
    return Sum((replace(term, integers=term.integers.clamp(low, high)),), value.low, value.high)


def quantize(value: Sum, scale: Tensor, zero_point: Tensor, rule: Rule) -> Tensor:
    """round(value / scale) + zero_point, saturated to the zero point's type. One scale for all channels."""
    limits = torch.iinfo(zero_point.dtype)
    zero, step = int(zero_point), float(scale)
    low, high = (
        float(limit if math.isinf(end) else min(max(round(end / step) + zero, limits.min), limits.max))
        for end, limit in ((value.low, limits.min), (value.high, limits.max))
    )
    codes = rule(value.terms, [term.factor / scale for term in value.terms], zero)
    return codes.clamp_(low, high).to(zero_point.dtype)


def _kind(bound: int) -> torch.dtype:
    return torch.float32 if bound < EXACT_FLOAT32 else torch.float64


def float_rule(terms: Sequence[Term], factors: Sequence[Tensor], zero: int) -> Tensor:
    """float32 multipliers, halves to even: what onnxruntime computes on x86-64.

    One term: round(integers * factor) + zero. More: round(codes_1 * factor_1 + (codes_2 * factor_2 +
    offset)), where offset = zero - (zero_1 * factor_1 + zero_2 * factor_2); each multiplication and
    addition together is rounded once, to float32 (onnxruntime: MlasRequantizeOutput, MlasQLinearAdd).
    """
    if len(terms) == 1:
        return (terms[0].integers.float() * factors[0]).round_().add_(zero)
    zeros = torch.zeros(())
    for term, factor in _backwards(terms, factors):
        zeros = _multiply_add(torch.tensor(term.zero), factor, zeros)
    total = zero - zeros
    for term, factor in _backwards(terms, factors):
        total = _multiply_add(term.integers + term.zero, factor, total)
    return total.round_()


def _backwards(terms: Sequence[Term], factors: Sequence[Tensor]) -> list[tuple[Term, Tensor]]:
    return list(zip(terms, factors, strict=True))[::-1]


def _multiply_add(x: Tensor, factor: Tensor, addend: Tensor) -> Tensor:
    return torch.addcmul(addend.double(), x.double(), factor.double()).float()


def fixed_point_rule(terms: Sequence[Term], factors: Sequence[Tensor], zero: int) -> Tensor:
    """((sum of integers * multiplier + 2^(shift-1)) >> shift) + zero in int64: halves up, as chips do.

    multiplier = round(factor * 2^shift); the shift gives the largest of them 31 bits, channel by channel.
    """
    largest = torch.stack(torch.broadcast_tensors(*factors)).amax(dim=0).double()
    shift = (MULTIPLIER_BITS - torch.frexp(largest).exponent.long()).clamp(1, 62)
    total = torch.bitwise_left_shift(torch.ones_like(shift), shift - 1)
    for term, factor in zip(terms, factors, strict=True):
        multiplier = (factor.double() * torch.exp2(shift.double())).round().long()
        total = total + term.integers.long() * multiplier.clamp(max=2**MULTIPLIER_BITS - 1)
    return torch.bitwise_right_shift(total, shift).float().add_(zero)
