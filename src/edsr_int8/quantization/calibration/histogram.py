"""Streaming histograms of float32 tensors: exact counts that add up, with bins that need no range in advance.

A bin holds the values that share the upper 16 bits of their IEEE 754 pattern: sign, exponent and 7 bits of
mantissa. So its width is 2^-7 of its power of two, and its centre is within 2^-8 (relative) of every value in
it, whatever the range of the tensor turns out to be. The pattern is sign and magnitude: read as an integer,
it rises with the value for positive numbers and falls for negative ones. `ORDER` sorts the bins when a
histogram is read, not when values are counted. Numbers under 1.2e-38 (no normal float32) count as zero.

Counts are integers, so a sum of histograms is the same to the last bit in any order.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edsr_int8.artifacts import read_npz, reading
from edsr_int8.errors import InputError
from edsr_int8.files import atomic

BINS = 1 << 16

_CODES = np.arange(BINS, dtype=np.uint32)
_EXPONENTS = (_CODES >> 7) & 0xFF  # 0: zero and what lies under a normal float32; 255: infinity and NaN
_NORMAL = (_EXPONENTS > 0) & (_EXPONENTS < 255)
_CENTRES = np.where(_NORMAL, _CODES << 16 | 0x8000, 0).astype(np.uint32).view(np.float32).astype(np.float64)
ORDER = np.concatenate([np.arange(BINS - 1, BINS // 2 - 1, -1), np.arange(BINS // 2)])


@dataclass(frozen=True, eq=False)
class Histogram:
    """The distribution of a tensor's values: int64 counts by upper 16 bits, the exact minimum and maximum."""

    counts: np.ndarray
    low: float
    high: float

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled as its bins that are not empty: a hundredth of all."""
        codes = np.flatnonzero(self.counts).astype(np.uint16)
        return _unpickle, (codes, self.counts[codes], self.low, self.high)

    def __add__(self, other: "Histogram") -> "Histogram":
        return Histogram(self.counts + other.counts, min(self.low, other.low), max(self.high, other.high))


def distribution(histogram: Histogram) -> tuple[np.ndarray, np.ndarray]:
    """Values in rising order, and how many there are of each: the centres of the bins that are not empty."""
    counts = histogram.counts[ORDER]
    used = np.flatnonzero(counts)
    return np.clip(_CENTRES[ORDER[used]], histogram.low, histogram.high), counts[used]


def percentile(histogram: Histogram, percent: float) -> float:
    """What np.percentile gives for all values, within 2^-8 relative; 0 and 100 give the exact ends.

    Between two neighbours of different sign, the error is 2^-8 of the larger one.
    """
    values, counts = distribution(histogram)
    ends = np.cumsum(counts)
    last = ends[-1] - 1
    position = last * percent / 100
    ranks = np.minimum([int(position), int(position) + 1], last)
    found = values[np.searchsorted(ends, ranks, side="right")]
    found = np.where(ranks == last, histogram.high, np.where(ranks == 0, histogram.low, found))
    return float(found[0] + (found[1] - found[0]) * (position - ranks[0]))


def save(
    path: Path,
    histograms: Mapping[str, Histogram],
    *,
    weights_sha256: str,
    colours: Mapping[str, tuple[float, float]] | None = None,
) -> None:
    """Write the histograms of a network's tensors, and their ranges over all `colours`, where measured.

    Equal values give equal bytes.

    The file holds, tensor after tensor, the codes and counts of the `bins` bins that are not empty.
    """
    names = sorted(histograms)
    found = [histograms[name] for name in names]
    codes = [np.flatnonzero(h.counts).astype(np.uint16) for h in found]
    with atomic(path) as temporary:
        np.savez(
            temporary,
            tensors=np.array(names),
            bins=np.array([c.size for c in codes]),
            codes=np.concatenate(codes),
            counts=np.concatenate([h.counts[c] for h, c in zip(found, codes, strict=True)]),
            ends=np.array([(h.low, h.high) for h in found]),
            weights_sha256=np.array(weights_sha256),
            colours=np.array([colours[name] for name in names] if colours else np.zeros((0, 2))),
        )


def load(path: Path, *, weights_sha256: str | None = None) -> dict[str, Histogram]:
    """Read what `save` wrote. InputError where it cannot be read or belongs to other weights than stated."""
    arrays = read_npz(path, "observe")
    with reading(path, "observe"):
        names, bins, codes, counts, ends = (
            arrays[key] for key in ("tensors", "bins", "codes", "counts", "ends")
        )
        origin = str(arrays["weights_sha256"])
        cuts = np.cumsum(bins)[:-1]
        dense = map(_dense, np.split(codes, cuts), np.split(counts, cuts))
        found = {
            str(name): Histogram(each, float(low), float(high))
            for name, each, (low, high) in zip(names, dense, ends, strict=True)
        }
    if weights_sha256 not in (None, origin):
        raise InputError(
            f"{path}: is of weights {origin[:8]}, not {weights_sha256 or '':.8}; run observe again"
        )
    return found


def load_colours(path: Path) -> dict[str, tuple[float, float]]:
    """The ranges over all colours that `save` wrote. InputError: damaged, or not measured."""
    arrays = read_npz(path, "observe")
    with reading(path, "observe"):
        ends = arrays["colours"]
        if len(ends) != len(arrays["tensors"]):
            raise ValueError("ranges over all colours were not measured")
        return {
            str(name): (float(low), float(high))
            for name, (low, high) in zip(arrays["tensors"], ends, strict=True)
        }


def _unpickle(codes: np.ndarray, counts: np.ndarray, low: float, high: float) -> Histogram:
    return Histogram(_dense(codes, counts), low, high)


def _dense(codes: np.ndarray, counts: np.ndarray) -> np.ndarray:
    dense = np.zeros(BINS, np.int64)
    dense[codes] = counts
    return dense
