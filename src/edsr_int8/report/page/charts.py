"""The charts of the page: what stands where, in per cent of the chart's box."""

from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Any

from edsr_int8.report.page import axis
from edsr_int8.report.table import Key, Row, build_key

# Room of a label, in per cent of the chart on a narrow screen: 16 characters of 280 pixels, a line of 320.
LABEL = {"width": 38, "height": 6}


def scatter(
    first: Mapping[str, Mapping[str, Row]], rows: Iterable[Row], speeds: Mapping[Key, Row]
) -> dict[str, Any] | None:
    """Gain over the input in dB against speed: a point a build, on the data set and protocol of `first`.

    `first` is model -> precision -> row, as page.first_rows gives it. None where nothing was both
    scored and timed.
    """
    points = []
    for row in rows:
        pace = speeds.get(build_key(row), {}).get("megapixels_per_s")
        shown = next(iter(first.get(row["model"], {}).values()), row)
        same = all(row[name] == shown[name] for name in ("dataset", "protocol"))
        if pace and same and row["psnr_db"] is not None:
            points.append({"row": row, "pace": pace, "gain": row["psnr_db"] - row["input_psnr_db"]})
    if not points:
        return None
    x = axis.logarithmic(point["pace"] for point in points)
    y = axis.linear((point["gain"] for point in points), margin=0.14)
    for point in points:
        point |= {"x": x.percent(point["pace"]), "y": 100 - y.percent(point["gain"])}
    return {"points": points, "x": x, "y": y, "series": _series(points)}


def _series(points: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The builds of each model on each target, in a line; a model's first line bears its name."""
    lines: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for point in points:
        lines.setdefault((point["row"]["model"], point["row"]["target"]), []).append(point)
    named: dict[str, list[dict[str, Any]]] = {}
    for (model, _), line in lines.items():
        named.setdefault(model, line)
    heights = axis.apart([(line[0]["x"], 100 - line[0]["y"]) for line in named.values()], **LABEL)
    labels = {model: 100 - height for model, height in zip(named, heights, strict=True)}
    return [
        {"line": line, "label": model if line is named[model] else "", "label_y": labels[model]}
        for (model, _), line in lines.items()
    ]


def lanes(rows: Iterable[Row], images: Iterable[Row]) -> dict[str, Any] | None:
    """PSNR drop of every build against fp32: a bar for the mean, ticks for the images. None without any."""
    lost = [row for row in rows if row["psnr_drop_db"] is not None]
    if not lost:
        return None
    drops: dict[tuple[str, ...], list[float]] = {_lane(row): [] for row in lost}
    for image in images:
        drops[_lane(image)].append(image["psnr_drop_db"])
    x = axis.linear(chain((row["psnr_drop_db"] for row in lost), *drops.values()), zero=True, margin=0.03)
    bars: dict[str, list[dict[str, Any]]] = {}
    for row in lost:
        left, right = sorted((x.percent(0), x.percent(row["psnr_drop_db"])))
        own = drops[_lane(row)]
        bar = {"row": row, "left": left, "width": round(right - left, 2), "worst": max(own)}
        bars.setdefault(row["model"], []).append(bar | {"ticks": [x.percent(value) for value in own]})
    return {"zero": x.percent(0), "bars": bars}


def _lane(row: Row) -> tuple[str, ...]:
    return *build_key(row), row["dataset"], row["protocol"]
