"""The whole pipeline on a tiny project: what runs, what is restored, what comes out. Tests run in order."""

import csv
import json
import os
import time
from pathlib import Path

import pytest
import torch
from foreign_checkpoints import official_state
from in_process import repro
from project import TINY_X2, Project, make_project

pytestmark = pytest.mark.slow

BUILDS = {f"{m}-{p}" for m in ("tiny_x2", "tiny_x1") for p in ("fp32", "int8")}
INT8 = {build for build in BUILDS if "int8" in build}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """After its first `dvc repro`."""
    made = make_project(tmp_path_factory.mktemp("pipeline") / "one")
    made.repro()
    made.run("git", "add", ".")
    made.run("git", "commit", "--quiet", "--message", "first results")
    return made


def table(project: Project) -> list[dict[str, str]]:
    with (project.folder / "results" / "table.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def int8_figures(project: Project) -> list[str]:
    return [row["psnr_db"] for row in table(project) if row["precision"] == "int8"]


def to_run(project: Project) -> set[str]:
    """Stages that depend on what has changed; those after them are not among them yet."""
    return {name for name in json.loads(project.dvc("status", "--json")) if "probe" not in name}


def test_the_table_has_every_row(project: Project) -> None:
    found = [(r["model"], r["precision"], r["target"], r["dataset"], r["protocol"]) for r in table(project)]
    expected = [
        (model, precision, "onnxruntime", dataset, protocol)
        for model, dataset, protocols in (
            ("tiny_x2", "photos_x2", ("official", "benchmark_y")),
            ("tiny_x1", "photos_blur", ("basicsr",)),
        )
        for precision in ("fp32", "int8")
        for protocol in protocols
    ]
    assert sorted(found) == sorted(expected)
    assert {row["status"] for row in table(project)} == {"ok"}


def test_drops_are_measured_against_fp32(project: Project) -> None:
    rows = {(r["model"], r["precision"], r["protocol"]): r for r in table(project)}
    fp32, int8 = rows["tiny_x2", "fp32", "official"], rows["tiny_x2", "int8", "official"]
    drop_db = float(fp32["psnr_db"]) - float(int8["psnr_db"])
    assert float(int8["psnr_drop_db"]) == pytest.approx(drop_db, abs=2e-4)
    assert fp32["psnr_drop_db"] == "" and float(int8["fidelity_db"]) > 30


def test_results_are_complete(project: Project) -> None:
    results = project.folder / "results"
    metrics = json.loads((results / "metrics.json").read_text())
    assert metrics["tiny_x1"]["int8"]["onnxruntime"]["photos_blur"]["basicsr"]["psnr_db"] > 0
    with (results / "timings.csv").open(newline="") as file:
        timings = list(csv.DictReader(file))
    assert len(timings) == len(BUILDS) and all(float(row["latency_ms"]) > 0 for row in timings)
    assert "tiny_x1" in (results / "report.html").read_text()


def test_plots_show_without_a_training_row(project: Project) -> None:
    shown = json.loads(project.dvc("plots", "show", "--json"))
    assert "errors" not in shown and any(shown["data"].values())


def test_a_second_run_only_probes(project: Project) -> None:
    assert project.repro() == ({"probe"}, set())


def test_weights_changed_in_place_are_seen_though_the_file_keeps_its_time(
    project: Project, tmp_path: Path
) -> None:
    path, other = project.folder / "weights" / "x2.pt", tmp_path / "x2.pt"
    whole, stat = path.read_bytes(), path.stat()
    torch.save(official_state(TINY_X2, seed=3), other)
    assert other.stat().st_size == stat.st_size

    def overwrite(content: bytes) -> set[str]:
        path.write_bytes(content)
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        project.dvc("repro", "probe")
        return to_run(project)

    assert overwrite(other.read_bytes()) == {"pipeline/convert/dvc.yaml:convert@tiny_x2"}
    assert overwrite(whole) == set()


def test_one_knob_runs_again_only_what_depends_on_it(project: Project) -> None:
    project.set("precisions.int8.percentile", 97.0)
    ran, restored = project.repro()
    assert not restored
    stages = ("quantize", "time", "evaluate")  # the row does not learn
    expected = {f"{stage}@{build}" for stage in stages for build in INT8}
    assert ran == expected | {f"infer@{build}-onnxruntime" for build in INT8} | {"probe", "report"}


def test_turning_it_back_restores_from_the_cache(project: Project) -> None:
    before = int8_figures(project)
    project.set("precisions.int8.percentile", 99.999)
    ran, restored = project.repro()
    assert ran == {"probe", "report"} | {f"time@{build}" for build in INT8}
    assert {name.split("@")[0] for name in restored} >= {"quantize", "infer", "evaluate"}
    assert int8_figures(project) != before


def test_a_new_row_runs_only_its_own_stages(project: Project) -> None:
    params = project.params
    params["models"]["tiny_again"] = dict(params["models"]["tiny_x1"], evaluation=["more"])
    params["datasets"]["more"] = dict(params["datasets"]["photos_blur"], hr="c.png")
    project.write_params(params)
    # `model_images` looks again for the new data set and finds the same images: nothing after it runs.
    look_again = [f"pipeline/model_images/dvc.yaml:model_images@{name}" for name in ("tiny_x1", "tiny_x2")]
    project.dvc("repro", "probe", *look_again)
    waiting = {name.split(":")[-1] for name in to_run(project)}
    assert {name for name in waiting if "tiny_again" not in name} == {"report"}
    assert waiting >= {f"{stage}@tiny_again" for stage in ("convert", "export", "observe", "gptq")}
    project.run("git", "checkout", "params.yaml")
    project.dvc("repro", "probe", *look_again)
    assert to_run(project) == set()


def test_a_stage_that_fails_stops_dvc_and_what_was_good_stays(project: Project) -> None:
    good = (project.folder / "results" / "table.csv").read_bytes()
    (project.folder / "photos" / "a.png").write_bytes(b"no image")
    text = project.dvc("repro", fails=True)
    assert "error: datasets.photos_" in text and "photos/a.png" in text and "Traceback" not in text
    assert (project.folder / "results" / "table.csv").read_bytes() == good
    project.run("git", "checkout", "--quiet", "photos")
    ran, _ = project.repro()
    assert ran <= {"probe", "report"} and (project.folder / "results" / "table.csv").read_bytes() == good


def test_two_folders_give_the_same_bytes(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether each stage has a process of its own or all share one."""
    other = make_project(tmp_path / "elsewhere" / "two")
    repro(other, monkeypatch)
    for pattern in (
        "build/**/*.onnx",
        "build/**/*.npz",
        "build/**/*.png",
        "results/table.csv",
        "results/metrics.json",
    ):
        files = sorted(file.relative_to(other.folder) for file in other.folder.glob(pattern))
        assert files, pattern
        for file in files:
            assert (project.folder / file).read_bytes() == (other.folder / file).read_bytes(), file


def test_queued_experiments_sweep_a_knob(project: Project) -> None:
    project.run("git", "commit", "--quiet", "--all", "--message", "before the sweep")
    project.dvc("exp", "run", "--queue", "-S", "precisions.int8.percentile=97.0,98.0")  # one is in the cache
    project.dvc("queue", "start")
    for _ in range(40):  # the queue works in the background, and each look takes seconds of a core
        if "Queued" not in (status := project.dvc("queue", "status")) and "Running" not in status:
            break
        time.sleep(6)
    assert status.count("Success") == 2, status
    shown = project.dvc("exp", "show", "--json")
    figures = set()
    for experiment in json.loads(shown)[0]["experiments"] or json.loads(shown)[1]["experiments"]:
        metrics = experiment["revs"][0]["data"]["metrics"]["results/metrics.json"]["data"]
        figures.add(metrics["tiny_x2"]["int8"]["onnxruntime"]["photos_x2"]["official"]["psnr_db"])
    assert len(figures) == 2
