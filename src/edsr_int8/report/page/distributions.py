"""Histograms of a network's activations, and the ranges that each precision keeps of them."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from edsr_int8.quantization.calibration.histogram import Histogram, distribution
from edsr_int8.report.page.axis import Axis

BINS = 96
Ends = Mapping[str, Mapping[str, float]]  # ranges.json: tensor -> low, high, and the grid


def histograms(sketches: Mapping[str, Histogram], ranges: Mapping[str, Ends]) -> list[dict[str, Any]]:
    """A chart a tensor: counts on a logarithmic scale, and where each precision's range begins and ends."""
    charts = []
    for tensor, sketch in sketches.items():
        kept = {name: ends[tensor] for name, ends in ranges.items() if tensor in ends}
        points = [sketch.low, sketch.high, *(end[key] for end in kept.values() for key in ("low", "high"))]
        if not min(points) < max(points):
            continue  # a dead tensor: nothing but one value
        x = Axis(min(points), max(points))
        marks = {name: [x.percent(end["low"]), x.percent(end["high"])] for name, end in kept.items()}
        charts.append({"tensor": tensor, "x": x, "area": _area(sketch, x), "marks": marks, "kept": kept})
    return charts


def _area(sketch: Histogram, x: Axis) -> str:
    """The outline of the histogram as an SVG path over 0..BINS and 0 (most) ..100 (no value at all)."""
    values, counts = distribution(sketch)
    binned, _ = np.histogram(values, BINS, (x.low, x.high), weights=counts)
    heights = np.log10(binned + 1) / np.log10(binned.max() + 1)
    tops = "".join(f"V{100 - 100 * height:.1f}h1" for height in heights)
    return f"M0 100{tops}V100z"
