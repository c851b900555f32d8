"""card.md against the model card that it rebuilds: its columns, its figures beside ours."""

import re
from pathlib import Path

from tiny_results import FP32, score, with_build, with_model

from edsr_int8.report.model_card import COLUMNS, as_card
from edsr_int8.report.results import Results
from edsr_int8.report.table import quality


def table(results: Results) -> list[list[str]]:
    lines = as_card(results, quality(results)).splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]


def test_columns_are_the_cards_own(shared: Path, results: Results) -> None:
    card = (shared / "card" / "model_card.zh.md").read_text(encoding="utf-8")
    heading = next(line for line in card.splitlines() if line.startswith("| Models"))
    assert tuple(re.split(r"\s*\|\s*", heading.strip("| "))) == COLUMNS
    assert tuple(table(results)[0]) == COLUMNS


def test_published_figures_stand_beside_measured_ones(results: Results) -> None:
    """EDSR_baseline_x2: the card has 200.256 G, 34.610 dB in fp32 and 28.552 in int8."""
    official = "[Official](https://github.com/sanghyun-son/EDSR-PyTorch)"
    assert table(results)[2:] == [
        ["net", official, "200.256 (200.256)", "1.370", "35.000 (34.610)", "0.912", "multi-shape"],
        ["net **onnxruntime int8**", "-", "-", "-", "34.875 (28.552)", "0.912", "multi-shape"],
        ["net **openvino int8**", "-", "-", "-", "34.500 (28.552)", "0.912", "multi-shape"],
    ]


def test_a_fixed_shape_is_written_as_the_card_writes_it(results: Results) -> None:
    assert {row[6] for row in table(with_model(results, shape=(768, 1024)))[2:]} == {"3x768x1024"}


def test_each_data_set_and_protocol_has_its_table_with_what_it_scores(results: Results) -> None:
    assert "## photos, protocol official: RGB, 2 images" in as_card(results, quality(results))


def test_what_is_wrong_or_missing_stands_below(results: Results) -> None:
    worse = with_build(results, FP32, score=score(12.0, 13.0))
    last = as_card(worse, quality(worse)).splitlines()[-1]
    assert last.startswith("- warning: net: fp32 scores below its own input")
