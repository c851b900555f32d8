"""Histograms of a network's activations, and the range of each that a precision keeps."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from edsr_int8.quantization.calibration.histogram import Histogram, distribution
from edsr_int8.report.page.axis import Axis

BINS = 96
Ends = Mapping[str, Mapping[str, float]]  # ranges.json: tensor -> low, high, and the grid


def histograms(counted: Mapping[str, Histogram], ranges: Mapping[str, Ends]) -> list[dict[str, Any]]:
    """A chart for each tensor: counts on a logarithmic scale, and the two ends of each precision's range."""
    charts = []
    for tensor, histogram in counted.items():
        kept = {name: of[tensor] for name, of in ranges.items() if tensor in of}
        ends = [end[key] for end in kept.values() for key in ("low", "high")]
        low, high = min([histogram.low, *ends]), max([histogram.high, *ends])
        if low == high:
            continue  # a dead tensor: all its values are equal
        x = Axis(low, high)
        marks = {name: [x.percent(end["low"]), x.percent(end["high"])] for name, end in kept.items()}
        charts.append({"tensor": tensor, "x": x, "area": _area(histogram, x), "marks": marks, "kept": kept})
    return charts


def _area(histogram: Histogram, x: Axis) -> str:
    """The outline of the histogram as an SVG path over 0..BINS and 0 (most) ..100 (no value at all)."""
    values, counts = distribution(histogram)
    binned, _ = np.histogram(values, BINS, (x.low, x.high), weights=counts)
    heights = np.log10(binned + 1) / np.log10(binned.max() + 1)
    tops = "".join(f"V{100 - 100 * height:.1f}h1" for height in heights)
    return f"M0 100{tops}V100z"
