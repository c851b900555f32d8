"""From a tensor's histogram to its uint8 grid: which range to keep, then scale and zero point."""

import fnmatch
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from edsr_int8.errors import InputError
from edsr_int8.quantization.calibration.histogram import Histogram, distribution, percentile
from edsr_int8.quantization.recipe import Recipe

STEPS = 255  # between the 256 codes of uint8
SHRINK = np.arange(100, 10, -1) / 100  # of an end, tried by mse_range
Range = tuple[float, float]


@dataclass(frozen=True)
class Grid:
    """The values scale * (code - zero_point), code 0..255; zero is always one of them."""

    scale: float  # a float32
    zero_point: int


IMAGE_GRID = Grid(1.0, 0)  # of images in and out: their codes are the grey levels


def grid(low: float, high: float) -> Grid:
    """The grid over low..high, stretched to take in zero. A tensor that is all zero gets the image's."""
    low, high = min(low, 0.0), max(high, 0.0)
    scale = float(np.float32((high - low) / STEPS))
    if scale < np.finfo(np.float32).tiny:  # all zero, or so small that float32 could not divide by it
        return IMAGE_GRID
    return Grid(scale, int(np.rint(-low / scale)))


def choose_all(sketches: Mapping[str, Histogram], recipe: Recipe) -> dict[str, Range]:
    """Tensor -> range. InputError where an override names no tensor, or a method is unknown."""
    for override in recipe.overrides:
        if not fnmatch.filter(sketches, override.tensors):
            raise InputError(
                f"overrides: {override.tensors!r} names no tensor; there are {', '.join(sketches)}"
            )
    chosen = {}
    for name, sketch in sketches.items():
        method, percent = method_of(name, recipe)
        chosen[name] = choose(sketch, ranges=method, percentile=percent)
    return chosen


def method_of(name: str, recipe: Recipe) -> tuple[str, float | None]:
    """Method and percentile of the tensor `name`."""
    method, percent = recipe.ranges, recipe.percentile
    for override in recipe.overrides:
        if fnmatch.fnmatchcase(name, override.tensors):
            method, percent = override.ranges, override.percentile
    return method, percent


def choose(of: Histogram, *, ranges: str, percentile: float | None) -> Range:
    """The range that the method named `ranges` keeps. InputError where there is no such method."""
    if ranges not in METHODS:
        raise InputError(f"ranges: {ranges!r} is unknown; known are {', '.join(sorted(METHODS))}")
    return METHODS[ranges](of, 100.0 if percentile is None else percentile)


def percentile_range(of: Histogram, percent: float) -> Range:
    """Each end where the tensor has values beyond zero gives up the outermost 100 - percent of all values.

    With percent 99.999, a signed tensor keeps its percentiles 0.001 to 99.999, one without negative
    values (after a Relu) 0 to 99.999, one without positive values 0.001 to 0. All values count, zeros
    too, over all pixels of all images together.
    """
    low = percentile(of, 100 - percent) if of.low < 0 else 0.0
    high = percentile(of, percent) if of.high > 0 else 0.0
    return min(low, 0.0), max(high, 0.0)


def minmax_range(of: Histogram, _percent: float = 100) -> Range:
    """All that was ever seen, exactly."""
    return min(of.low, 0.0), max(of.high, 0.0)


def mse_range(of: Histogram, _percent: float = 100) -> Range:
    """The range with the least mean squared error of uint8 rounding, among minmax shrunk end by end.

    A value inside the range is off by scale^2 / 12 on average (one under half a step by its own
    square, as it becomes zero), a value outside by its squared distance to the range.
    """
    return _least(of, _error)


def _least(of: Histogram, error: Callable[[np.ndarray, np.ndarray, float, float], float]) -> Range:
    """Among minmax shrunk end by end, the range with the least error(values, counts, low, high)."""
    values, counts = distribution(of)
    low, high = full = minmax_range(of)
    for _ in range(2):  # one end at a time, twice: a third time changes nothing to speak of
        low = min(full[0] * SHRINK, key=lambda end: error(values, counts, end, high))
        high = min(full[1] * SHRINK, key=lambda end: error(values, counts, low, end))
    return float(low), float(high)


def _error(values: np.ndarray, counts: np.ndarray, low: float, high: float) -> float:
    """Sum of squared differences between the values and their places on the grid over low..high."""
    step = (high - low) / STEPS
    rounding = np.where(np.abs(values) < step / 2, values**2, step**2 / 12)
    beyond = values - np.clip(values, low, high)
    return float(counts @ np.where(beyond == 0, rounding, beyond**2))


def entropy_range(of: Histogram, _percent: float = 100) -> Range:
    """The range whose 256 codes tell least of the distribution wrongly: least Kullback-Leibler divergence.

    As TensorRT's calibration (Migacz, GTC 2017): what lies outside is counted at the ends, and a code's
    count is spread evenly over the values that share it.
    """
    return _least(of, _divergence)


def _divergence(values: np.ndarray, counts: np.ndarray, low: float, high: float) -> float:
    """Between the counts over low..high and those that their codes tell; exact zeros are left out."""
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


METHODS: dict[str, Callable[[Histogram, float], Range]] = {
    "percentile": percentile_range,
    "minmax": minmax_range,
    "mse": mse_range,
    "entropy": entropy_range,
    "search": percentile_range,  # where the search begins (search.py)
}
