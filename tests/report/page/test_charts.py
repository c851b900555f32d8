from dataclasses import replace

import pytest
from tiny_results import INT8, MISSING, score, unavailable, with_build

from edsr_int8.report.page.charts import lanes, scatter
from edsr_int8.report.page.render import first_rows
from edsr_int8.report.plots import per_image
from edsr_int8.report.results import Results
from edsr_int8.report.speed import speed
from edsr_int8.report.table import quality


def test_scatter_places_faster_right_and_better_up(results: Results) -> None:
    rows = quality(results)
    drawn = scatter(first_rows(rows), rows, {row.build: row for row in speed(results)})
    assert drawn
    fp32, int8, openvino = drawn.points
    assert fp32.gain == 5.0
    assert fp32.x < int8.x < openvino.x
    assert fp32.y < int8.y < openvino.y  # from the top
    assert [series.label for series in drawn.series] == ["net", ""]


def test_lanes_measure_bars_and_ticks_on_one_axis(results: Results) -> None:
    drawn = lanes(quality(results), per_image(results))
    assert drawn
    first, second = drawn.bars["net"]
    assert first.left == drawn.zero
    assert second.width == pytest.approx(4 * first.width, abs=0.05)  # 0.5 dB and 0.125 dB
    assert min(first.ticks) < drawn.zero < max(first.ticks)  # one image gained


def test_a_build_better_than_fp32_reaches_left_of_zero(results: Results) -> None:
    better = with_build(results, INT8, score=score(35.0, 36.0))
    drawn = lanes(quality(better), per_image(better))
    assert drawn and drawn.bars["net"][0].left < drawn.zero


def test_nothing_to_draw(results: Results) -> None:
    missing = replace(
        results, builds={key: replace(build, scores=unavailable()) for key, build in results.builds.items()}
    )
    rows = quality(missing)
    assert {row.status for row in rows} == {MISSING}
    assert scatter({}, rows, {row.build: row for row in speed(missing)}) is None
    assert lanes(rows, []) is None
