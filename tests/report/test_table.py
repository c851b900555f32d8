import csv
from dataclasses import replace

import pytest

from edsr_int8.errors import InputError
from edsr_int8.pipeline.rows import Model
from edsr_int8.report import table

CONTRACT = (
    "model,source,precision,target,dataset,protocol,images,shape,psnr_db,ssim,fid,input_psnr_db,"
    "psnr_drop_db,fidelity_db,params_m,gmacs,model_mb,status"
)


def rows_by_build(models, scores):
    return {(row["precision"], row["target"]): row for row in table.quality(models, scores)}


def test_drop_is_fp32_minus_own_mean(models, scores):
    row = rows_by_build(models, scores)["int8", "onnxruntime"]
    assert row["psnr_drop_db"] == 35.0 - 34.875
    assert row["fidelity_db"] == 45.0


def test_fp32_itself_has_no_drop(models, scores):
    assert rows_by_build(models, scores)["fp32", "onnxruntime"]["psnr_drop_db"] is None


def test_drop_falls_back_to_fp32_of_onnxruntime(models, scores):
    assert rows_by_build(models, scores)["int8", "openvino"]["psnr_drop_db"] == 35.0 - 34.5


def test_drop_prefers_fp32_of_the_same_target(models, scores):
    scores["net", "fp32", "openvino"] = scores["net", "int8", "openvino"]
    assert rows_by_build(models, scores)["int8", "openvino"]["psnr_drop_db"] == 0.0


def test_drop_is_empty_without_any_fp32(models, scores):
    scores["net", "fp32", "onnxruntime"] = scores["net", "fp32", "openvino"]
    assert rows_by_build(models, scores)["int8", "onnxruntime"]["psnr_drop_db"] is None


def test_unavailable_build_keeps_its_place_without_figures(models, scores):
    rows = table.quality(models, scores)
    assert [(row["precision"], row["target"]) for row in rows] == [key[1:] for key in scores]
    assert all(rows[1][name] is None for name in (*table.FIGURES, "images"))
    assert rows[1]["status"].startswith("unavailable: ")


def test_rows_follow_the_models_data_sets_and_protocols(models, scores):
    key = ("net", "fp32", "onnxruntime")
    score = scores[key]["datasets"]["photos"]["official"]
    named = replace(models["net"], evaluation=("b", "a"), protocols=("official", "basicsr"))
    both = {"basicsr": score, "official": score}
    rows = table.quality({"net": named}, {key: {**scores[key], "datasets": {"a": both, "b": both}}})
    pairs = [(row["dataset"], row["protocol"]) for row in rows]
    assert pairs == [("b", "official"), ("b", "basicsr"), ("a", "official"), ("a", "basicsr")]


def test_scores_without_a_protocol_are_refused_by_name(models, scores):
    scores["net", "int8", "onnxruntime"]["datasets"]["photos"] = {}
    with pytest.raises(InputError, match=r"net/int8/onnxruntime: nothing for photos under official"):
        table.quality(models, scores)


def test_card_figures_stand_beside_ours(models, scores):
    rows = rows_by_build(models, scores)
    assert rows["fp32", "onnxruntime"]["reference_psnr_db"] == 34.61
    assert rows["int8", "onnxruntime"]["reference_psnr_db"] == 28.552
    assert rows["int8", "onnxruntime"]["card_flops_g"] == 200.256


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
def test_cell_text(value, spec, expected):
    assert table.text(value, spec) == expected


def test_csv_has_the_contracts_columns_and_reads_back(tmp_path, models, scores):
    path = tmp_path / "results" / "table.csv"
    table.write_rows(path, table.quality(models, scores), table.QUALITY)
    assert b"\r" not in path.read_bytes()
    header, *lines = csv.reader(path.open(encoding="utf-8", newline=""))
    assert ",".join(header).startswith(f"{CONTRACT},")
    row = dict(zip(header, lines[2], strict=True))
    assert (row["psnr_db"], row["ssim"], row["fid"], row["psnr_drop_db"]) == (
        "34.8750",
        "0.912346",
        "",
        "0.1250",
    )
    assert (row["params_m"], row["gmacs"], row["model_mb"], row["shape"]) == (
        "1.369859", "90.115", "5.500", "native",
    )  # fmt: skip


def test_fid_shows_its_patches_or_why_it_is_not_there(models, scores):
    def put(key, **fid):
        scores[key]["datasets"]["photos"]["official"].update(fid)

    put(("net", "fp32", "onnxruntime"), fid=12.345, fid_patches=640, fid_skipped="")
    put(("net", "int8", "onnxruntime"), fid=None, fid_patches=0, fid_skipped="no weights at w.pth")
    rows = table.quality(models, scores)
    lines = table.as_text(rows).splitlines()
    columns = [cell.strip() for cell in lines[0].split("|")]
    cells = [cell.strip() for cell in lines[2].split("|")]
    assert (cells[columns.index("fid")], cells[columns.index("fid_patches")]) == ("12.35", "640")
    assert lines[-1] == "fid: skipped: no weights at w.pth"
    assert rows[0]["status"] == rows[2]["status"] == "ok"


def test_metrics_nest_the_tables_own_rounding(models, scores):
    tree = table.metrics(table.quality(models, scores))
    assert tree["net"]["int8"]["onnxruntime"]["photos"]["official"] == {
        "psnr_db": 34.875, "ssim": 0.912346, "input_psnr_db": 30.0, "psnr_drop_db": 0.125,
        "fidelity_db": 45.0,
    }  # fmt: skip
    assert "openvino" not in tree["net"]["fp32"]


def test_speed_rows_have_the_timing_and_the_shape(timings):
    rows = table.speed(timings)
    assert [row["latency_ms"] for row in rows] == [100.0, None, 50.0, 40.0]
    assert [row["shape"] for row in rows] == ["256x256", None, "256x256", "256x256"]
    assert rows[1]["status"].startswith("unavailable: ")


def test_terminal_table_is_aligned_and_says_why_once(models, scores):
    lines = table.as_text(table.quality(models, scores)).splitlines()
    assert len({len(line) for line in lines[:6]}) == 1  # heading, rule and four rows
    assert lines[6:] == [f"openvino: {scores['net', 'fp32', 'openvino']['status']}"]


def both_protocols(models: dict[str, Model]) -> dict[str, Model]:
    return {"net": replace(models["net"], protocols=("official", "card"), shape=(8, 8))}


def test_agreement_with_exact_integers_goes_by_the_images_that_a_protocol_scores(models, scores) -> None:
    build = scores["net", "int8", "onnxruntime"]
    build["datasets"]["photos"]["card"] = build["datasets"]["photos"]["official"]
    build["agreement"] = {
        "evaluation/photos": {"equal_share": 0.9991, "max_difference": 2},
        "card/photos": {"equal_share": 1.0, "max_difference": 0},
    }
    rows = table.quality(both_protocols(models), {("net", "int8", "onnxruntime"): build})
    found = [(row["integer_equal_share"], row["integer_max_difference"]) for row in rows]
    assert found == [(0.9991, 2), (1.0, 0)]


def test_a_target_without_images_for_a_protocol_says_so_in_that_row_alone(models, scores) -> None:
    build = scores["net", "int8", "onnxruntime"]
    score, why = build["datasets"]["photos"]["official"], "the target gives no evaluation images"
    build["datasets"]["photos"] = {"official": {"unavailable": why}, "card": score}
    rows = table.quality(both_protocols(models), {("net", "int8", "vacc"): build})
    assert [row["status"] for row in rows] == ["unavailable: the target gives no evaluation images", "ok"]
    assert [row["psnr_db"] for row in rows] == [None, score["psnr_db"]]
