"""Which range of a tensor's values to keep, from its histogram."""

import fnmatch
import math
from collections.abc import Callable, Mapping

import numpy as np

from edsr_int8.errors import InputError
from edsr_int8.quantization.calibration.histogram import Histogram, distribution, percentile
from edsr_int8.quantization.ir.grid import STEPS, Range
from edsr_int8.quantization.recipe import Recipe

SHRINK = np.arange(100, 10, -1) / 100  # factors of an end that mse and entropy try


def estimate_ranges(histograms: Mapping[str, Histogram], recipe: Recipe) -> dict[str, Range]:
    """Tensor -> its range. InputError where an override matches no tensor."""
    for override in recipe.overrides:
        if not fnmatch.filter(histograms, override.tensors):
            raise InputError(
                f"overrides: {override.tensors!r} names no tensor; there are {', '.join(histograms)}"
            )
    found = {}
    for name, histogram in histograms.items():
        estimator, percent = estimator_of(name, recipe)
        found[name] = ESTIMATORS[estimator](histogram, 100.0 if percent is None else percent)
    return found


def estimator_of(name: str, recipe: Recipe) -> tuple[str, float | None]:
    """Estimator and percentile of a tensor: the recipe's, or those of the last override that matches."""
    estimator, percent = recipe.ranges, recipe.percentile
    for override in recipe.overrides:
        if fnmatch.fnmatchcase(name, override.tensors):
            estimator, percent = override.ranges, override.percentile
    return estimator, percent


def percentile_range(histogram: Histogram, percent: float) -> Range:
    """Clip the outermost 100 - percent of all values at each end that reaches beyond zero.

    With percent 99.999, a signed tensor keeps its percentiles 0.001 to 99.999, one without negative values
    (after a Relu) 0 to 99.999, one without positive values 0.001 to 0. All values count, zeros too, over all
    pixels of all images together.
    """
    low = percentile(histogram, 100 - percent) if histogram.low < 0 else 0.0
    high = percentile(histogram, percent) if histogram.high > 0 else 0.0
    return min(low, 0.0), max(high, 0.0)


def minmax_range(histogram: Histogram, _percent: float = 100) -> Range:
    """The smallest and the largest value ever seen."""
    return min(histogram.low, 0.0), max(histogram.high, 0.0)


def mse_range(histogram: Histogram, _percent: float = 100) -> Range:
    """The range with the least mean squared error of uint8 rounding, among minmax with its ends shrunk.

    A value inside the range is off by scale^2 / 12 on average (one under half a step by its own square, as
    it becomes zero), a value outside by its squared distance to the range.
    """
    return _least(histogram, _error)


def _least(histogram: Histogram, error: Callable[[np.ndarray, np.ndarray, float, float], float]) -> Range:
    """Among minmax with its ends shrunk, the range with the least error(values, counts, low, high)."""
    values, counts = distribution(histogram)
    low, high = full = minmax_range(histogram)
    for _ in range(2):  # one end at a time, twice: a third time changes nothing to speak of
        low = min(full[0] * SHRINK, key=lambda end: error(values, counts, end, high))
        high = min(full[1] * SHRINK, key=lambda end: error(values, counts, low, end))
    return float(low), float(high)


def squared_error(histogram: Histogram, low: float, high: float) -> float:
    """Of all values together, where the grid over low..high keeps them."""
    return _error(*distribution(histogram), low, high)


def _error(values: np.ndarray, counts: np.ndarray, low: float, high: float) -> float:
    """Sum of squared differences between the values and their codes on the grid over low..high."""
    step = (high - low) / STEPS
    rounding = np.where(np.abs(values) < step / 2, values**2, step**2 / 12)
    beyond = values - np.clip(values, low, high)
    return float(counts @ np.where(beyond == 0, rounding, beyond**2))


def entropy_range(histogram: Histogram, _percent: float = 100) -> Range:
    """The range whose 256 codes keep most of the distribution: the least Kullback-Leibler divergence.

    As in TensorRT's calibration (Migacz, GTC 2017): values outside count at the ends, and a code's count is
    spread evenly over the values that share it.
    """
    return _least(histogram, _divergence)


def _divergence(values: np.ndarray, counts: np.ndarray, low: float, high: float) -> float:
    """Between the counts over low..high and those that their codes imply, without exact zeros."""
    step = (high - low) / STEPS
    inside = (values >= low) & (values <= high) & (values != 0)
    if not inside.any():
        return math.inf
    kept = counts[inside].astype(np.float64)
    clipped = kept.copy()
    clipped[0] += counts[values < low].sum()
    clipped[-1] += counts[values > high].sum()
    codes = np.unique(np.rint(values[inside] / step), return_inverse=True)[1]
    widths = np.abs(values[inside])  # a histogram's bin is as wide as its value is large
    spread = widths * (np.bincount(codes, kept) / np.bincount(codes, widths))[codes]
    p, q = clipped / clipped.sum(), spread / spread.sum()
    return float(p @ np.log(p / q))


ESTIMATORS: dict[str, Callable[[Histogram, float], Range]] = {
    "percentile": percentile_range,
    "minmax": minmax_range,
    "mse": mse_range,
    "entropy": entropy_range,
    "search": percentile_range,  # where the search begins: algorithms/range_search.py
}
