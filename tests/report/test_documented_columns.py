"""docs/protocols.md against the code: every column with its meaning, every protocol with its border."""

import re
from pathlib import Path

import pytest

from edsr_int8.metrics.protocols import PROTOCOLS
from edsr_int8.report.columns import columns
from edsr_int8.report.speed import SpeedRow
from edsr_int8.report.table import QualityRow

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "protocols.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## ([^\n]+)\n(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL))


@pytest.mark.parametrize(
    ("section", "row_type"),
    [("Columns of results/table.csv", QualityRow), ("Columns of results/timings.csv", SpeedRow)],
)
def test_every_column_stands_there_in_its_order_with_a_meaning(section: str, row_type: type) -> None:
    found = re.findall(r"^\| `(\w+)` \| .*\| (\w.*|`.*) \|$", SECTIONS[section], re.MULTILINE)
    assert [name for name, _ in found] == list(columns(row_type))


@pytest.mark.parametrize("name", PROTOCOLS)
def test_every_protocol_stands_there_with_its_channels_and_border(name: str) -> None:
    row = next(line for line in TEXT.splitlines() if line.startswith(f"| `{name}` "))
    protocol, cells = PROTOCOLS[name], [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[1].startswith(protocol.channels)
    border = ["scale"] * protocol.shave_scales + [str(protocol.shave_extra)] * bool(protocol.shave_extra)
    assert (" + ".join(border) or "0") in cells[2]
