"""The large charts of the page: what stands where, in per cent of the chart's box."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import chain

from edsr_int8.report.page import axis
from edsr_int8.report.plots import ImageRow
from edsr_int8.report.results import BuildKey
from edsr_int8.report.speed import SpeedRow
from edsr_int8.report.table import QualityRow

# Room of a label, in per cent of the chart on a narrow screen: 16 characters of 280 pixels, a line of 320.
LABEL = {"width": 38, "height": 6}


@dataclass(frozen=True)
class Point:
    """A build: its gain over the input in dB by its output megapixels per second."""

    row: QualityRow
    pace: float
    gain: float
    x: float = 0.0
    y: float = 0.0  # from the top


@dataclass(frozen=True)
class Series:
    """The builds of one model on one target; the first series of a model bears its name."""

    line: list[Point]
    label: str
    label_y: float


@dataclass(frozen=True)
class Scatter:
    points: list[Point]
    x: axis.Axis
    y: axis.Axis
    series: list[Series]


@dataclass(frozen=True)
class Bar:
    """PSNR drop of a build: its mean from zero on, and a tick for every image."""

    row: QualityRow
    left: float
    width: float
    ticks: list[float]


@dataclass(frozen=True)
class Lanes:
    zero: float
    bars: dict[str, list[Bar]]  # by model


def scatter(
    first: Mapping[str, Mapping[str, QualityRow]],
    rows: Iterable[QualityRow],
    speeds: Mapping[BuildKey, SpeedRow],
) -> Scatter | None:
    """Gain over the input against speed: a point for each build, on the data set and protocol of `first`.

    `first` is model -> precision -> row, as `render.first_rows` gives it. None where no build was both scored
    and timed.
    """
    found = []
    for row in rows:
        pace = speeds[row.build].megapixels_per_s
        shown = next(iter(first.get(row.model, {}).values()), row)
        same = (row.dataset, row.protocol) == (shown.dataset, shown.protocol)
        if pace and same and row.psnr_db is not None and row.input_psnr_db is not None:
            found.append(Point(row, pace, row.psnr_db - row.input_psnr_db))
    if not found:
        return None
    x = axis.logarithmic(point.pace for point in found)
    y = axis.linear((point.gain for point in found), margin=0.14)
    points = [Point(p.row, p.pace, p.gain, x.percent(p.pace), 100 - y.percent(p.gain)) for p in found]
    return Scatter(points, x, y, _series(points))


def _series(points: Iterable[Point]) -> list[Series]:
    lines: dict[tuple[str, str], list[Point]] = {}
    for point in points:
        lines.setdefault((point.row.model, point.row.target), []).append(point)
    named: dict[str, list[Point]] = {}
    for (model, _), line in lines.items():
        named.setdefault(model, line)
    heights = axis.apart([(line[0].x, 100 - line[0].y) for line in named.values()], **LABEL)
    labels = {model: 100 - height for model, height in zip(named, heights, strict=True)}
    return [
        Series(line, model if line is named[model] else "", labels[model])
        for (model, _), line in lines.items()
    ]


def lanes(rows: Iterable[QualityRow], images: Iterable[ImageRow]) -> Lanes | None:
    """PSNR drop of every build against fp32. None where no build has one."""
    means = [(row, row.psnr_drop_db) for row in rows if row.psnr_drop_db is not None]
    if not means:
        return None
    drops: dict[tuple[str, ...], list[float]] = {}
    for image in images:
        drops.setdefault(_lane(image), []).append(image.psnr_drop_db)
    x = axis.linear(chain((mean for _, mean in means), *drops.values()), zero=True, margin=0.03)
    bars: dict[str, list[Bar]] = {}
    for row, mean in means:
        left, right = sorted((x.percent(0), x.percent(mean)))
        ticks = [x.percent(value) for value in drops[_lane(row)]]
        bars.setdefault(row.model, []).append(Bar(row, left, round(right - left, 2), ticks))
    return Lanes(x.percent(0), bars)


def _lane(row: QualityRow | ImageRow) -> tuple[str, ...]:
    return *row.build, row.dataset, row.protocol
