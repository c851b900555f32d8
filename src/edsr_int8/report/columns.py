"""Tables as CSV files: a row is a frozen dataclass, and its fields are the columns, in their order.

A column of numbers names its format: `psnr_db: Annotated[float | None, ".4f"]`. None is an empty cell.
"""

from collections.abc import Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from edsr_int8.files import write_csv


def columns(row_type: type) -> Mapping[str, str]:
    """Column -> format, '' for text."""
    return {field.name: getattr(field.type, "__metadata__", ("",))[0] for field in fields(row_type)}


def write_rows(path: Path, rows: Iterable[Any], row_type: type) -> None:
    """Write `rows`, which are of `row_type`, under its columns."""
    formats = columns(row_type)
    cells = ([text(getattr(row, name), spec) for name, spec in formats.items()] for row in rows)
    write_csv(path, formats, cells)


def text(value: Any, spec: str) -> str:
    """A cell's text: '' for None, a fixed number of decimals, and never -0.0000."""
    if value is None:
        return ""
    if spec.endswith("f"):
        value = round(value, int(spec[1:-1])) + 0.0  # -0.0 + 0.0 is 0.0
    return format(value, spec)
