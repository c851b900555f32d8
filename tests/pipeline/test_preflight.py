"""What `edsr-int8 check` says of rows before anything runs."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edsr_int8.data.images import write_png
from edsr_int8.pipeline import layout, params
from edsr_int8.pipeline.preflight import plan
from edsr_int8.pipeline.rows import Fid, Params

PRESETS = Path(__file__).resolve().parents[2] / "presets"


def card(**changes: object) -> Params:
    return replace(params.load(PRESETS / "card_small.yaml"), **changes)


def test_bytes_to_fetch_are_those_that_are_not_here(tmp_path: Path) -> None:
    rows = card()
    stated = sum(row.bytes for row in rows.downloads.values())
    assert plan(rows, tmp_path).fetch_bytes == stated
    assert plan(rows, tmp_path).fetch_unknown == ("edsr_mx2",)
    (tmp_path / layout.fetched("div2k_valid_hr")).mkdir(parents=True)
    assert plan(rows, tmp_path).fetch_bytes == stated - rows.downloads["div2k_valid_hr"].bytes


def test_a_large_network_without_its_res_scale_is_a_warning(tmp_path: Path) -> None:
    rows = params.load(PRESETS / "card.yaml")
    assert plan(rows, tmp_path).warnings == ()
    wrong = replace(rows, models=rows.models | {"EDSR_x2": replace(rows.models["EDSR_x2"], res_scale=1.0)})
    (warning,) = plan(wrong, tmp_path).warnings
    assert "models.EDSR_x2.res_scale" in warning and "0.1" in warning


def test_fid_that_cannot_be_had_is_a_warning(tmp_path: Path) -> None:
    (warning,) = plan(card(fid=Fid("w.pth", "6726825d")), tmp_path).warnings
    assert "fid.weights: w.pth is not there" in warning and "left out" in warning
    assert plan(card(fid=Fid("w.pth", "6726825d", ("https://host/w.pth",))), tmp_path).warnings == ()


def test_pixels_that_training_decodes_count_until_the_row_is_done(tmp_path: Path) -> None:
    rows = params.load(PRESETS / "sample_weights.yaml")
    for i in range(3):
        write_png(tmp_path / "data/BSDS500" / f"{i}.png", np.zeros((20, 30, 3), np.uint8))
    photographs = replace(rows.datasets["bsds500_x2"], hr="*.png", limit=2)
    rows = replace(
        rows,
        datasets=rows.datasets | {"bsds500_x2": photographs},
        training={
            "both": replace(rows.training["edsr_x2"], validation=("bsds500_x2",)),
            "one": replace(rows.training["edsr_x2"], validation=()),
        },
    )
    two_pairs = 2 * (20 * 30 + 10 * 15) * 3
    assert plan(rows, tmp_path).disk_bytes == 2 * two_pairs  # those of a row go before the next begins
    (tmp_path / layout.training("both")).mkdir(parents=True)
    assert plan(rows, tmp_path).disk_bytes == two_pairs
    (tmp_path / layout.training("one")).mkdir(parents=True)
    assert plan(rows, tmp_path).disk_bytes == 0


def test_pixels_of_what_is_still_to_be_fetched_are_estimated(tmp_path: Path) -> None:
    rows = params.load(PRESETS / "train_div2k.yaml")
    mdsr = 2 * rows.downloads["div2k_train_hr"].bytes * (3 + 1 / 4 + 1 / 9 + 1 / 16)  # three scales of it
    decoded = plan(rows, tmp_path).disk_bytes - 2 * plan(rows, tmp_path).fetch_bytes
    assert mdsr < decoded < 1.3 * mdsr  # and validation


def test_calibration_on_what_is_evaluated_is_a_warning(tmp_path: Path) -> None:
    rows = params.load(PRESETS / "sample.yaml")
    assert plan(rows, tmp_path).warnings == ()
    model = replace(rows.models["edsr_x2_sample"], calibration="sample_x2")
    (warning,) = plan(replace(rows, models={"m": model}), tmp_path).warnings
    assert "models.m: datasets.sample_x2 is evaluated" in warning and "calibrate on other images" in warning
    again = rows.datasets | {"again": replace(rows.datasets["sample_x2"], limit=3)}
    renamed = replace(rows, models={"m": replace(model, calibration="again")}, datasets=again)
    (warning,) = plan(renamed, tmp_path).warnings
    assert "datasets.sample_x2 is evaluated and shares its images with datasets.again" in warning


def test_a_tree_without_git_is_a_problem_with_its_way_out(tmp_path: Path) -> None:
    rows = replace(params.load(PRESETS / "sample.yaml"), models={})
    (problem,) = plan(rows, tmp_path).problems
    assert "not in a git repository" in problem and "git init" in problem and "core.no_scm" in problem
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc" / "config.local").write_text("[core]\n    no_scm = true\n")
    assert plan(rows, tmp_path).problems == ()


def test_a_copy_inside_a_git_repository_is_no_problem(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    rows = replace(params.load(PRESETS / "sample.yaml"), models={})
    (tmp_path / "inside").mkdir()
    assert plan(rows, tmp_path / "inside").problems == ()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_what_belongs_to_another_is_told_before_a_run(tmp_path: Path) -> None:
    (tmp_path / "build").mkdir(mode=0o555)
    [problem] = [line for line in plan(card(), tmp_path).problems if "may not write" in line]
    assert problem.startswith("build: you may not write there: owned by ")


@pytest.mark.parametrize("name", ["", ".", "/dev/zero", "weights"])
def test_weights_that_are_no_file_are_a_problem(tmp_path: Path, name: str) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / "weights").mkdir()
    rows = params.load(PRESETS / "sample_scores.yaml")
    key, model = next(iter(rows.models.items()))
    changed = replace(rows, models={key: replace(model, weights=name)})
    problems = [line for line in plan(changed, tmp_path).problems if f"models.{key}.weights" in line]
    assert problems == [
        f"params.yaml: models.{key}.weights: {name!r} is no plain file; name the checkpoint itself"
    ]


@pytest.mark.parametrize("name", ["", ".", "/", ".."])
def test_images_in_a_folder_that_holds_the_repository_are_a_problem(tmp_path: Path, name: str) -> None:
    (tmp_path / ".git").mkdir()
    rows = params.load(PRESETS / "sample_scores.yaml")
    key, dataset = next(iter(rows.datasets.items()))
    changed = replace(rows, datasets={**rows.datasets, key: replace(dataset, path=name)})
    problems = [line for line in plan(changed, tmp_path).problems if f"datasets.{key}.path" in line]
    assert problems == [
        f"params.yaml: datasets.{key}.path: {name!r} holds the repository; name the folder of the images"
    ]
