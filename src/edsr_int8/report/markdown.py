"""The table of quality for a terminal: table.md, which `edsr-int8 summary` prints."""

from collections.abc import Iterable, Sequence

from edsr_int8.report.columns import text
from edsr_int8.report.table import QualityRow

# What fits a terminal, and with how many decimals.
SHOWN = {
    "model": "",
    "precision": "",
    "target": "",
    "dataset": "",
    "protocol": "",
    "input_psnr_db": ".3f",
    "psnr_db": ".3f",
    "psnr_drop_db": ".3f",
    "ssim": ".4f",
    "fid": ".2f",
    "fid_patches": "d",
    "model_mb": ".2f",
}
ON_REQUEST = ("fid", "fid_patches")  # shown where any row has them


def as_text(rows: Sequence[QualityRow]) -> str:
    """The columns that matter most as a Markdown table, then why figures are missing, then warnings.

    Each line below the table stands there once.
    """
    has_fid = any(row.fid is not None for row in rows)
    shown = {name: spec for name, spec in SHOWN.items() if has_fid or name not in ON_REQUEST}
    cells = [list(shown), *([text(getattr(row, name), spec) for name, spec in shown.items()] for row in rows)]
    return "\n".join([*aligned(cells, [bool(spec) for spec in shown.values()]), *lines_below(rows)])


def aligned(cells: Sequence[Sequence[str]], right: Sequence[bool]) -> list[str]:
    """The lines of a Markdown table: `cells` row by row, the heading first; `right`: columns of numbers."""
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    styles = [f"{'>' if number else '<'}{width}" for number, width in zip(right, widths, strict=True)]
    rule = ["-" * (width - 1) + (":" if number else "-") for number, width in zip(right, widths, strict=True)]
    return ["| " + " | ".join(map(format, line, styles)) + " |" for line in (cells[0], rule, *cells[1:])]


def lines_below(rows: Iterable[QualityRow]) -> list[str]:
    """Why targets did not run, why FID is missing, and warnings; each once."""
    rows = list(rows)
    lines = [f"{row.target}: {row.status}" for row in rows if row.status != "ok"]
    lines += [f"fid: skipped: {reason}" for reason in fid_reasons(rows)]
    lines += [f"warning: {line}" for line in warning_lines(rows)]
    return list(dict.fromkeys(lines))


def fid_reasons(rows: Iterable[QualityRow]) -> list[str]:
    """Why FID was asked for and is not there, each reason once."""
    return list(dict.fromkeys(row.fid_skipped for row in rows if row.fid_skipped))


def warning_lines(rows: Iterable[QualityRow]) -> list[str]:
    """The warnings of all rows with the model that they are about, each once."""
    found = (f"{row.model}: {text}" for row in rows for text in row.warning.split("; ") if text)
    return list(dict.fromkeys(found))
