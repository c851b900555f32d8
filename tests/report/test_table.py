import csv
from dataclasses import replace
from pathlib import Path

import pytest
from tiny_results import (
    FP32,
    FP32_OPENVINO,
    INT8,
    INT8_OPENVINO,
    MISSING,
    score,
    unavailable,
    with_build,
    with_model,
)

from edsr_int8.errors import InputError
from edsr_int8.metrics.scores import Unscored
from edsr_int8.report import table
from edsr_int8.report.columns import text, write_rows
from edsr_int8.report.results import BuildKey, Conformance, Results
from edsr_int8.report.table import QualityRow, quality

CONTRACT = (
    "model,source,precision,target,dataset,protocol,images,shape,psnr_db,ssim,fid,input_psnr_db,"
    "psnr_drop_db,fidelity_db,params_m,gmacs,model_mb,status"
)


def by_build(results: Results) -> dict[BuildKey, QualityRow]:
    return {row.build: row for row in quality(results)}


def test_drop_is_fp32_minus_own_mean(results: Results) -> None:
    row = by_build(results)[INT8]
    assert row.psnr_drop_db == 35.0 - 34.875
    assert row.fidelity_db == 45.0


def test_fp32_itself_has_no_drop(results: Results) -> None:
    assert by_build(results)[FP32].psnr_drop_db is None


def test_drop_falls_back_to_fp32_of_onnxruntime(results: Results) -> None:
    assert by_build(results)[INT8_OPENVINO].psnr_drop_db == 35.0 - 34.5


def test_drop_prefers_fp32_of_the_same_target(results: Results) -> None:
    same = with_build(results, FP32_OPENVINO, scores=results.builds[INT8_OPENVINO].scores)
    assert by_build(same)[INT8_OPENVINO].psnr_drop_db == 0.0


def test_drop_is_empty_without_any_fp32(results: Results) -> None:
    row = by_build(with_build(results, FP32, scores=unavailable()))[INT8]
    assert (row.psnr_drop_db, row.worst_drop_db, row.worst_image) == (None, None, None)


def test_the_worst_image_is_the_one_that_loses_most_against_its_own_fp32(results: Results) -> None:
    """By images int8 loses 0.5 and gains 0.25 dB: the one with the higher PSNR may be the worse one."""
    row = by_build(results)[INT8]
    assert (row.worst_drop_db, row.worst_image) == (0.5, "image0")
    row = by_build(with_build(results, INT8, score=score(34.25, 35.0)))[INT8]
    assert (row.worst_drop_db, row.worst_image) == (1.0, "image1")


def test_unavailable_build_keeps_its_place_without_figures(results: Results) -> None:
    rows = quality(results)
    assert [row.build for row in rows] == list(results.builds)
    assert all(getattr(rows[1], name) is None for name in (*table.FIGURES, "images", "worst_drop_db"))
    assert rows[1].status == MISSING


def test_rows_follow_the_models_data_sets_and_protocols(results: Results) -> None:
    both = {"basicsr": score(34.0), "official": score(34.0)}
    scores = replace(results.builds[FP32].scores, datasets={"a": both, "b": both})
    one = replace(results, builds={FP32: replace(results.builds[FP32], scores=scores)})
    rows = quality(with_model(one, evaluation=("b", "a"), protocols=("official", "basicsr")))
    pairs = [(row.dataset, row.protocol) for row in rows]
    assert pairs == [("b", "official"), ("b", "basicsr"), ("a", "official"), ("a", "basicsr")]


def test_scores_without_a_protocol_are_refused_by_name(results: Results) -> None:
    empty = replace(results.builds[INT8].scores, datasets={"photos": {}})
    with pytest.raises(InputError, match=r"net/int8/onnxruntime: nothing for photos under official"):
        quality(with_build(results, INT8, scores=empty))


def test_card_figures_stand_beside_ours(results: Results) -> None:
    rows = by_build(results)
    assert rows[FP32].reference_psnr_db == 34.61
    assert rows[INT8].reference_psnr_db == 28.552
    assert rows[INT8].card_flops_g == 200.256


@pytest.mark.parametrize(
    ("value", "spec", "expected"),
    [
        (None, ".4f", ""),
        (-0.00001, ".4f", "0.0000"),
        (-0.25, ".4f", "-0.2500"),
        (8, "d", "8"),
        ("x", "", "x"),
    ],
)
def test_cell_text(value: object, spec: str, expected: str) -> None:
    assert text(value, spec) == expected


def test_csv_has_the_contracts_columns_and_reads_back(tmp_path: Path, results: Results) -> None:
    path = tmp_path / "results" / "table.csv"
    write_rows(path, quality(results), QualityRow)
    assert b"\r" not in path.read_bytes()
    header, *lines = csv.reader(path.open(encoding="utf-8", newline=""))
    assert ",".join(header).startswith(f"{CONTRACT},warning,")
    row = dict(zip(header, lines[2], strict=True))
    figures = ("psnr_db", "ssim", "fid", "psnr_drop_db", "worst_drop_db", "worst_image")
    assert [row[name] for name in figures] == ["34.8750", "0.912346", "", "0.1250", "0.5000", "image0"]
    assert (row["params_m"], row["gmacs"], row["model_mb"], row["shape"]) == (
        "1.369859", "90.115", "5.500", "native",
    )  # fmt: skip


def test_metrics_nest_the_tables_own_rounding(results: Results) -> None:
    tree = table.metrics(quality(results))
    assert tree["net"]["int8"]["onnxruntime"]["photos"]["official"] == {
        "psnr_db": 34.875, "ssim": 0.912346, "input_psnr_db": 30.0, "psnr_drop_db": 0.125,
        "fidelity_db": 45.0,
    }  # fmt: skip
    assert "openvino" not in tree["net"]["fp32"]


def test_conformance_goes_by_the_images_that_a_protocol_scores(results: Results) -> None:
    both = {"official": score(34.0), "card": score(34.0)}
    scores = replace(results.builds[INT8].scores, datasets={"photos": both})
    found = {"evaluation/photos": Conformance(0.9991, 2), "card/photos": Conformance(1.0, 0)}
    one = replace(results, builds={INT8: replace(results.builds[INT8], scores=scores, conformance=found)})
    rows = quality(with_model(one, protocols=("official", "card"), shape=(8, 8)))
    assert [(row.integer_equal_share, row.integer_max_difference) for row in rows] == [(0.9991, 2), (1.0, 0)]


def test_a_target_without_images_for_a_protocol_says_so_in_that_row_alone(results: Results) -> None:
    datasets = {
        "photos": {"official": Unscored("the target gives no evaluation images"), "card": score(34.0)}
    }
    scores = replace(results.builds[INT8].scores, datasets=datasets)
    one = replace(results, builds={INT8: replace(results.builds[INT8], scores=scores)})
    rows = quality(with_model(one, protocols=("official", "card"), shape=(8, 8)))
    assert [row.status for row in rows] == ["unavailable: the target gives no evaluation images", "ok"]
    assert [row.psnr_db for row in rows] == [None, 34.0]


def test_the_worst_colour_is_the_field_that_shifts_most(results: Results) -> None:
    scores = replace(results.builds[INT8].scores, colour_shifts=(0.25, 1.5, 0.0))
    rows = by_build(with_build(results, INT8, scores=scores))
    assert rows[INT8].worst_colour_shift == 1.5
    assert rows[FP32].worst_colour_shift is None
