"""Every file of results/."""

from pathlib import Path

from edsr_int8.files import write_json, write_text
from edsr_int8.report import plots
from edsr_int8.report.columns import write_rows
from edsr_int8.report.markdown import as_text
from edsr_int8.report.model_card import as_card
from edsr_int8.report.page.render import render
from edsr_int8.report.results import Results
from edsr_int8.report.speed import SpeedRow, speed
from edsr_int8.report.table import QualityRow, metrics, quality


def write_report(out: Path, results: Results) -> None:
    """Write the tables, the model card, metrics.json, the rows of the plots and the page into `out`."""
    rows = quality(results)
    write_rows(out / "table.csv", rows, QualityRow)
    write_rows(out / "timings.csv", speed(results), SpeedRow)
    write_rows(out / "plots" / "drop.csv", plots.drop(rows), plots.DropRow)
    write_rows(out / "plots" / "per_image.csv", plots.per_image(results), plots.ImageRow)
    write_json(out / "metrics.json", metrics(rows))
    write_text(out / "table.md", as_text(rows) + "\n")
    write_text(out / "card.md", as_card(results, rows) + "\n")
    write_text(out / "report.html", render(results))
