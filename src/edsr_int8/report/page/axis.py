"""The axes of a chart. Places are in per cent of the chart's box, so that it can be drawn at any width."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Axis:
    """A range of numbers, low < high; a logarithmic one has low > 0."""

    low: float
    high: float
    log: bool = False

    def percent(self, value: float) -> float:
        low, high, at = (math.log10(v) if self.log else v for v in (self.low, self.high, value))
        return round(100 * (at - low) / (high - low), 2)

    def ticks(self) -> list[float]:
        """Round numbers within the axis: 1, 2, 5 times a power of ten."""
        if not self.log:
            step = _round_step((self.high - self.low) / 5)
            first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
            return [round(i * step, 10) for i in range(first, last + 1)]
        powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        factors = (1, 2, 5) if len(powers) < 5 else (1,)
        ticks = [round(factor * 10.0**power, 10) for power in powers for factor in factors]
        return [tick for tick in ticks if self.low <= tick <= self.high]


def _round_step(rough: float) -> float:
    """The smallest of 1, 2, 5 times a power of ten that is at least `rough`."""
    power = 10.0 ** math.floor(math.log10(rough))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * (1 - 1e-9))


def linear(values: Iterable[float], *, zero: bool = False, margin: float = 0.08) -> Axis:
    """An axis that holds `values` and, at both ends, `margin` times their range.

    With `zero` it starts at 0, or below where a value does.
    """
    values = [*values, 0.0] if zero else list(values)
    low, high = min(values), max(values)
    spare = margin * ((high - low) or 1.0)
    return Axis(low if zero and low == 0 else low - spare, high + spare)


def logarithmic(values: Iterable[float], *, margin: float = 0.12) -> Axis:
    """A logarithmic axis that holds the positive `values` and a margin."""
    axis = linear([math.log10(value) for value in values], margin=margin)
    return Axis(10**axis.low, 10**axis.high, log=True)


def apart(marks: Sequence[tuple[float, float]], *, width: float, height: float) -> list[float]:
    """The heights of labels at (x, y), raised where two would be nearer than `width` and `height`."""
    placed: list[tuple[float, float]] = []
    heights = [0.0] * len(marks)
    for i in sorted(range(len(marks)), key=lambda i: (marks[i][1], i)):
        x, y = marks[i]
        for other_x, other_y in placed:  # lowest first: what is raised over one is compared with the next
            if abs(x - other_x) < width and abs(y - other_y) < height:
                y = other_y + height
        placed.append((x, y))
        placed.sort(key=lambda mark: mark[1])
        heights[i] = round(y, 2)
    return heights
