"""Every file of results/, from the scores and timings of every build."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edsr_int8.files import write_json, write_text
from edsr_int8.pipeline.rows import Model
from edsr_int8.quantization.recipe import Recipe
from edsr_int8.report import plots, table
from edsr_int8.report.page import render as page
from edsr_int8.report.page.analysis import Analysis
from edsr_int8.report.table import Key, Scores


def write_report(
    out: Path,
    models: Mapping[str, Model],
    scores: Scores,
    timings: Mapping[Key, Mapping[str, Any]],
    crops: Mapping[Key, Path],
    settings: Mapping[str, Recipe],
    analyses: Mapping[str, Analysis],
) -> None:
    """Write table.csv, table.md, timings.csv, metrics.json, plots/*.csv and report.html into `out`."""
    rows = table.quality(models, scores)
    table.write_rows(out / "table.csv", rows, table.QUALITY)
    table.write_rows(out / "timings.csv", table.speed(timings), table.SPEED)
    table.write_rows(out / "plots" / "drop.csv", plots.drop(rows), plots.DROP)
    table.write_rows(out / "plots" / "per_image.csv", plots.per_image(models, scores), plots.PER_IMAGE)
    write_json(out / "metrics.json", table.metrics(rows))
    write_text(out / "table.md", table.as_text(rows) + "\n")
    write_text(out / "report.html", page.render(models, scores, timings, crops, settings, analyses))
