"""Weights fitted to what int8 lets a convolution read, so that its output comes nearest to the wanted one.

Rounding and clipping ahead of a convolution change its input, and part of that can be told from the input
itself: noise, which should weigh less, and what a clipped channel would have held, by the channels beside it.
The weights that lose least have a closed form, a regression. Li et al. 2025 (GPTAQ,
https://arxiv.org/abs/2504.02692) call this asymmetric calibration.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import permutations

import torch
from torch import Tensor
from torch.nn.grad import conv2d_weight

from edsr_int8.quantization.algorithms.second_moment import second_moment

AT_ONCE = 16  # images: a float32 sum over more would lose digits
RIDGES = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1)  # of the second moment of an input, added to its variance
EVEN = 0.1  # of the median error, added to each crop's: none counts ten times as much as most


@dataclass(frozen=True)
class Windows:
    """Of the windows x that a convolution reads, in IHW order, and of what its output misses: float64."""

    mean: Tensor  # of x
    second_moment: Tensor  # of x
    missed: Tensor  # mean of each output
    missed_moment: Tensor  # outputs x inputs: mean of an output times x

    @property
    def covariance(self) -> Tensor:
        return self.second_moment - torch.outer(self.mean, self.mean)

    @property
    def missed_covariance(self) -> Tensor:
        return self.missed_moment - torch.outer(self.missed, self.mean)


@torch.no_grad()
def windows(value: Tensor, missed: Tensor, kernel: tuple[int, ...]) -> Windows:
    """Of NCHW `value`, padded with zeros, and of `missed`: NCHW, the wanted output less that of now.

    The error of a crop counts by its logarithm: else a few that clip would outweigh all others.
    """
    weights = _weights(missed)
    read = value * weights.sqrt()
    lost = torch.cat([torch.ones_like(missed[:, :1]), missed], 1) * weights.sqrt()
    size, padding = (lost.shape[1], read.shape[1], *kernel), [n // 2 for n in kernel]
    zero = torch.zeros((), dtype=torch.float64, device=value.device)
    moment = sum((second_moment(x, kernel) * len(x) for x in read.split(AT_ONCE)), zero) / len(read)
    pairs = zip(read.split(AT_ONCE), lost.split(AT_ONCE), strict=True)
    sums = sum((conv2d_weight(x, size, y, padding=padding).double() for x, y in pairs), zero)
    crossed = sums.flatten(1) / (len(missed) * missed[0, 0].numel())
    means = (missed * weights).mean((0, 2, 3), dtype=torch.float64)
    return Windows(crossed[0], moment, means, crossed[1:])


def _weights(missed: Tensor) -> Tensor:
    """Of each crop, 1 on average: the inverse of its error."""
    errors = missed.square().mean((1, 2, 3), keepdim=True)
    weights = 1 / (errors + EVEN * errors.median() + 1e-9)
    return weights / weights.mean()


def average(parts: Sequence[Windows]) -> Windows:
    """Of all crops, from those of equally large parts of them."""
    names = [each.name for each in fields(Windows)]
    return Windows(*(sum(getattr(each, name) for each in parts) / len(parts) for name in names))


def fitted(weight: Tensor, bias: Tensor, parts: Sequence[Windows]) -> tuple[Tensor, Tensor]:
    """Weight (outputs x inputs) and bias that miss least, from the windows of parts of the crops.

    The ridge is the one with which what each part teaches serves the others best: cross-validation. Where no
    ridge gains anything there, or there is one part alone, only the bias is fitted.
    """
    gains = {ridge: sum(_gain(_change(a, ridge), b) for a, b in permutations(parts, 2)) for ridge in RIDGES}
    best = max(RIDGES, key=lambda ridge: gains[ridge])
    whole = average(parts)
    change = _change(whole, best) if gains[best] > 0 else torch.zeros_like(weight)
    return weight + change, bias + whole.missed - change @ whole.mean


def _change(seen: Windows, ridge: float) -> Tensor:
    """Of the weight: the regression of what is missed on what is read."""
    added = ridge * seen.second_moment.diagonal() + 1e-12  # an input that is always 0 has no say
    change: Tensor = torch.linalg.solve(seen.covariance + added.diag(), seen.missed_covariance.T).T
    return change


def _gain(change: Tensor, seen: Windows) -> float:
    """By how much less squared error the output misses, summed over its channels, with the best biases."""
    return float((change * (2 * seen.missed_covariance - change @ seen.covariance)).sum())
