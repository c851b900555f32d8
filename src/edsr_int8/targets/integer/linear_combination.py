"""What a quantized graph computes between two roundings, exactly: sums of integers times real factors.

Integers are held in float tensors, for which torch has fast kernels. float32 holds and adds integers
exactly, in any order, as long as no sum can reach 2^24; where one could, float64 takes its place.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

EXACT_FLOAT32 = 2**24  # every integer up to here is a float32 number
ACCUMULATOR = 2**31  # an int32 accumulator holds less


@dataclass(frozen=True)
class Term:
    """integers * factor; the factor is one number, or one per channel (C, 1, 1)."""

    integers: Tensor
    factor: Tensor  # a float32 scale, or in float64 the exact product of two of them
    bound: int  # no |integer| is larger, whatever the image
    zero: float = 0.0  # the zero point that was subtracted from codes to get the integers


@dataclass(frozen=True)
class LinearCombination:
    """The sum of its terms, clipped to low..high."""

    terms: tuple[Term, ...]
    low: float = -math.inf
    high: float = math.inf


def dequantize(codes: Tensor, scale: Tensor, zero_point: Tensor, *, axis: int) -> LinearCombination:
    """(codes - zero_point) * scale, of uint8, int8 or int32 codes; one scale, or one per index of `axis`."""
    if scale.numel() > 1:
        shape = [-1 if i == axis else 1 for i in range(codes.ndim)]
        scale, zero_point = scale.reshape(shape), zero_point.reshape(shape)
    else:
        scale, zero_point = scale.reshape(()), zero_point.reshape(())
    limits = torch.iinfo(codes.dtype)
    bound = int(max((limits.max - zero_point.double()).max(), (zero_point.double() - limits.min).max()))
    integers = codes.to(_float_type(bound)) - zero_point.to(_float_type(bound))
    zero = float(zero_point) if zero_point.numel() == 1 else 0.0
    return LinearCombination((Term(integers, scale.float(), bound, zero),))


def convolve(
    image: LinearCombination, weight: LinearCombination, bias: LinearCombination | None, **options: Any
) -> LinearCombination:
    """The int32 accumulators of a convolution; `options` are those of torch's conv2d.

    Their factor is the exact product of the image's and the weight's. ValueError: the bias is not in
    steps of that factor, or an accumulator could overflow.
    """
    if len(image.terms) != 1 or image.terms[0].factor.ndim:
        raise ValueError("its input is no tensor of one scale")
    _require_unclipped(image)
    (x,), (w,) = image.terms, weight.terms
    factor = x.factor.double() * w.factor.double().reshape(-1, 1, 1)
    reach = w.integers.double().abs().sum(dim=(1, 2, 3)) * x.bound
    offset = None
    if bias is not None:
        (b,) = bias.terms
        if not torch.allclose(b.factor.double().reshape(-1), factor.reshape(-1), rtol=1e-6, atol=0):
            raise ValueError("its bias is not in steps of input scale x weight scale")
        offset = b.integers
        reach = reach + offset.double().abs()
    bound = int(reach.max())
    if bound >= ACCUMULATOR:
        raise ValueError(f"its sums can reach {bound}, more than an int32 accumulator holds")
    kind = _float_type(bound)
    offset = None if offset is None else offset.to(kind)
    integers = functional.conv2d(x.integers.to(kind), w.integers.to(kind), offset, **options)
    return LinearCombination((Term(integers, factor, bound),))


def clip(value: LinearCombination, low: float, high: float) -> LinearCombination:
    """The same terms, clipped to low..high as well."""
    return replace(value, low=max(value.low, low), high=min(value.high, high))


def add(first: LinearCombination, second: LinearCombination) -> LinearCombination:
    """The terms of both. ValueError where one of them is clipped: the sum is then no linear combination."""
    _require_unclipped(first)
    _require_unclipped(second)
    return LinearCombination(first.terms + second.terms)


def _require_unclipped(value: LinearCombination) -> None:
    if math.isfinite(value.low) or math.isfinite(value.high):
        raise ValueError("its input is clipped but not quantized")


def rearrange(value: LinearCombination, move: Callable[[Tensor], Tensor]) -> LinearCombination:
    """The same values at other places. ValueError where channels have scales of their own."""
    if any(term.factor.ndim for term in value.terms):
        raise ValueError("it moves channels of different scales")
    return replace(value, terms=tuple(replace(t, integers=move(t.integers)) for t in value.terms))


def pad(value: LinearCombination, widths: Sequence[int], constant: float) -> LinearCombination:
    """With `constant`, a whole number of steps, around it; `widths` as torch's pad has them."""
    (term,) = value.terms
    steps = round(constant / float(term.factor))
    return rearrange(value, lambda integers: functional.pad(integers, list(widths), value=steps))


def concatenate(values: Sequence[LinearCombination], axis: int) -> LinearCombination:
    """Side by side. ValueError unless all are tensors of one scale."""
    terms = [term for value in values for term in value.terms]
    if len(terms) != len(values) or any(not torch.equal(t.factor, terms[0].factor) for t in terms):
        raise ValueError("it joins tensors of different scales")
    kind = _float_type(max(term.bound for term in terms))
    joined = torch.cat([term.integers.to(kind) for term in terms], dim=axis)
    return LinearCombination((replace(terms[0], integers=joined, bound=max(t.bound for t in terms)),))


def _float_type(bound: int) -> torch.dtype:
    """The smallest float type that holds all integers up to `bound`."""
    return torch.float32 if bound < EXACT_FLOAT32 else torch.float64
