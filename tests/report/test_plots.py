from edsr_int8.report import plots, table


def test_drop_names_builds_and_leaves_fp32_out(models, scores):
    rows = plots.drop(table.quality(models, scores))
    assert [row["build"] for row in rows] == ["net int8 official photos", "net int8 official photos openvino"]
    assert [row["psnr_drop_db"] for row in rows] == [0.125, 0.5]


def test_per_image_drop_is_against_the_same_image(models, scores):
    scores["net", "int8", "onnxruntime"]["datasets"]["photos"]["official"]["per_image"].reverse()
    rows = [row for row in plots.per_image(models, scores) if row["target"] == "onnxruntime"]
    assert {row["image"]: row["psnr_drop_db"] for row in rows} == {"image0": 0.5, "image1": -0.25}


def test_mean_of_the_images_is_the_tables_drop(models, scores):
    per_image = [
        row["psnr_drop_db"] for row in plots.per_image(models, scores) if row["target"] == "openvino"
    ]
    row = next(row for row in table.quality(models, scores) if row["target"] == "openvino" and row["images"])
    assert sum(per_image) / len(per_image) == row["psnr_drop_db"]


def test_files_have_the_columns_that_they_state(tmp_path, models, scores):
    table.write_rows(tmp_path / "image.csv", plots.per_image(models, scores), plots.PER_IMAGE)
    lines = (tmp_path / "image.csv").read_text().splitlines()
    assert lines[1] == "net,int8,onnxruntime,photos,official,image0,33.5000,30.0000,0.5000,45.0000"
