from dataclasses import replace
from pathlib import Path

from tiny_results import INT8, score, with_build

from edsr_int8.report import plots
from edsr_int8.report.columns import write_rows
from edsr_int8.report.results import Results
from edsr_int8.report.table import quality


def test_drop_names_builds_and_leaves_fp32_out(results: Results) -> None:
    rows = plots.drop(quality(results))
    assert [row.build for row in rows] == ["net int8 official photos", "net int8 official photos openvino"]
    assert [row.psnr_drop_db for row in rows] == [0.125, 0.5]


def test_per_image_drop_is_against_the_same_image(results: Results) -> None:
    found = score(33.5, 36.25)
    turned = with_build(results, INT8, score=replace(found, per_image=found.per_image[::-1]))
    rows = [row for row in plots.per_image(turned) if row.build == INT8]
    assert {row.image: row.psnr_drop_db for row in rows} == {"image0": 0.5, "image1": -0.25}


def test_mean_of_the_images_is_the_tables_drop(results: Results) -> None:
    drops = [row.psnr_drop_db for row in plots.per_image(results) if row.build == INT8]
    row = next(row for row in quality(results) if row.build == INT8)
    assert sum(drops) / len(drops) == row.psnr_drop_db


def test_files_have_the_columns_that_they_state(tmp_path: Path, results: Results) -> None:
    write_rows(tmp_path / "image.csv", plots.per_image(results), plots.ImageRow)
    lines = (tmp_path / "image.csv").read_text().splitlines()
    assert lines[1] == "net,int8,onnxruntime,photos,official,image0,33.5000,30.0000,0.5000,45.0000"
