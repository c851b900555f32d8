from dataclasses import replace

from tiny_results import FP32, INT8, MISSING, score, with_build

from edsr_int8.metrics.fid.frechet import Fid
from edsr_int8.report.markdown import as_text
from edsr_int8.report.results import Results
from edsr_int8.report.table import quality


def test_the_table_is_aligned_and_says_once_why_figures_are_missing(results: Results) -> None:
    lines = as_text(quality(results)).splitlines()
    assert len({len(line) for line in lines[:6]}) == 1  # heading, rule and four rows
    assert lines[6:] == [f"openvino: {MISSING}"]


def test_fid_shows_its_patches_or_why_it_is_not_there(results: Results) -> None:
    results = with_build(results, FP32, score=replace(score(34.0, 36.0), fid=Fid(12.345, 640)))
    results = with_build(
        results, INT8, score=replace(score(33.5, 36.25), fid=Fid(None, 0, "no weights at w"))
    )
    rows = quality(results)
    lines = as_text(rows).splitlines()
    columns = [cell.strip() for cell in lines[0].split("|")]
    cells = [cell.strip() for cell in lines[2].split("|")]
    assert (cells[columns.index("fid")], cells[columns.index("fid_patches")]) == ("12.35", "640")
    assert lines[-1] == "fid: skipped: no weights at w"
    assert rows[0].status == rows[2].status == "ok"


def test_warnings_stand_below_the_table_once(results: Results) -> None:
    worse = with_build(results, FP32, score=score(12.0, 13.0))
    lines = as_text(quality(worse)).splitlines()
    assert [line for line in lines if line.startswith("warning: ")] == [
        "warning: net: fp32 scores below its own input: check the model's weights, res_scale and source"
    ]
