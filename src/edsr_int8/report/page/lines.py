"""Small line charts: how finetuning went, and PSNR by the percentile of the ranges."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from edsr_int8.quantization.analysis.curves import CurvePoint
from edsr_int8.quantization.analysis.losses import decibels
from edsr_int8.quantization.recipe import Recipe
from edsr_int8.report.page import axis
from edsr_int8.report.table import QualityRow


@dataclass(frozen=True)
class Line:
    precision: str  # whose colour the line has
    points: Sequence[tuple[float, float]]
    names: Sequence[str] = ()  # the precision of each point where they differ: drawn as dots
    dashed: bool = False


def finetuning(curves: Mapping[str, Sequence[CurvePoint]]) -> dict[str, Any] | None:
    """PSNR against the float network's output by step: held-out crops solid, training crops dashed."""
    lines = []
    for name, curve in curves.items():
        training = [(p.step, decibels(p.training_mse)) for p in curve if p.training_mse is not None]
        lines += [Line(name, training, dashed=True)] if training else []
        lines.append(Line(name, [(p.step, decibels(p.held_out_mse)) for p in curve]))
    return _chart(lines) if lines else None


def percentiles(recipes: Mapping[str, Recipe], rows: Mapping[str, QualityRow]) -> dict[str, Any] | None:
    """PSNR of the precisions that differ in nothing but their percentile; rising percentiles, evenly spaced.

    `rows`: precision -> row of the table, of one model. None where no two precisions differ like that.
    """
    groups: dict[Recipe, dict[float, str]] = {}
    for name in rows:
        if (percentile := recipes[name].percentile) is not None:
            groups.setdefault(replace(recipes[name], percentile=None), {})[percentile] = name
    families = [dict(sorted(names.items())) for names in groups.values() if len(names) > 1]
    values = sorted({value for names in families for value in names})
    lines = []
    for names in families:
        points = [(values.index(value), rows[name].psnr_db or 0.0) for value, name in names.items()]
        lines.append(Line(next(iter(names.values())), points, names=list(names.values())))
    return _chart(lines, [f"{value:g}" for value in values]) if lines else None


def _chart(lines: Sequence[Line], labels: Sequence[str] = ()) -> dict[str, Any]:
    """Places in per cent, y from the top; `labels` of x = 0, 1, ..., or none for round ticks."""
    x = axis.linear((at for line in lines for at, _ in line.points), margin=0.1 if labels else 0.0)
    y = axis.linear(value for line in lines for _, value in line.points)
    ticks = [(float(i), label) for i, label in enumerate(labels)] or [
        (tick, f"{tick:g}") for tick in x.ticks()
    ]
    return {
        "x": [(x.percent(at), text) for at, text in ticks],
        "y": [(round(100 - y.percent(tick), 2), f"{tick:g}") for tick in y.ticks()],
        "lines": [_drawn(line, x, y) for line in lines],
        "shown": [name for line in lines for name in line.names or [line.precision]],
    }


def _drawn(line: Line, x: axis.Axis, y: axis.Axis) -> dict[str, Any]:
    places = [(x.percent(at), round(100 - y.percent(value), 2)) for at, value in line.points]
    dots = zip(line.names, places, line.points, strict=False)
    first, last = line.points[0][1], line.points[-1][1]
    where = " on the crops that it learns from" if line.dashed else ""
    return {
        "precision": line.precision,
        "dashed": line.dashed,
        "path": " ".join(f"{left},{top}" for left, top in places),
        "dots": [
            {"precision": name, "x": left, "y": top, "value": value} for name, (left, top), (_, value) in dots
        ],
        "text": f"{line.precision}{where}: {first:.2f} to {last:.2f} dB",
    }
