import pytest

from edsr_int8.report import plots, table
from edsr_int8.report.page import charts
from edsr_int8.report.page import render as page


def test_scatter_places_faster_right_and_better_up(models, scores, timings):
    rows = table.quality(models, scores)
    speeds = dict(zip(timings, table.speed(timings), strict=True))
    drawn = charts.scatter(page.first_rows(rows), rows, speeds)
    fp32, int8, openvino = drawn["points"]
    assert fp32["gain"] == 5.0
    assert fp32["x"] < int8["x"] < openvino["x"]
    assert fp32["y"] < int8["y"] < openvino["y"]  # from the top
    assert [series["label"] for series in drawn["series"]] == ["net", ""]


def test_lanes_measure_bars_and_ticks_on_one_axis(models, scores):
    drawn = charts.lanes(table.quality(models, scores), plots.per_image(models, scores))
    first, second = drawn["bars"]["net"]
    assert first["left"] == drawn["zero"]
    assert second["width"] == pytest.approx(4 * first["width"], abs=0.05)  # 0.5 dB and 0.125 dB
    assert (first["worst"], second["worst"]) == (0.5, 1.0)
    assert min(first["ticks"]) < drawn["zero"] < max(first["ticks"])  # one image gained


def test_a_build_better_than_fp32_reaches_left_of_zero(models, scores):
    better = scores["net", "int8", "onnxruntime"]["datasets"]["photos"]["official"]
    better["psnr_db"] = 35.5
    drawn = charts.lanes(table.quality(models, scores), plots.per_image(models, scores))
    assert drawn["bars"]["net"][0]["left"] < drawn["zero"]


def test_nothing_to_draw(models, scores):
    missing = dict.fromkeys(scores, scores["net", "fp32", "openvino"])
    rows = table.quality(models, missing)
    assert charts.scatter({}, rows, {}) is None
    assert charts.lanes(rows, []) is None
