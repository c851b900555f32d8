"""The card preset with every row, offline: each command of `dvc repro`, in DVC's order, in this one process.

Three hundred processes would take minutes to start: test_standin_card.py runs DVC itself on some of the rows.
"""

import csv
import json
from pathlib import Path

import pytest
from http_server import serving
from in_process import repro
from project import make_project
from standin_card import OTHER_TEST_SEQUENCES, PRESET, bodies, publish, standin

from edsr_int8.pipeline import layout, params

pytestmark = pytest.mark.slow

CARD = params.load(PRESET)


def test_every_row_from_the_fetch_to_the_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    project, tree = make_project(tmp_path / "card"), standin(CARD.models)
    for section in ("downloads", "datasets", "models", "training"):
        assert set(tree[section]) == set(getattr(CARD, section))
    with serving({}) as server:
        tree["mirror"] = server.url("mirror")
        for name, body in bodies(tree).items():
            publish(tree, name, body, server.files, server.url())
        project.write_params(tree)
        repro(project, monkeypatch)
        assert sum(status == 200 for _, status, _ in server.log) == len(CARD.downloads)
    with (project.folder / "results" / "table.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["status"] for row in rows} == {"ok"} and all(row["psnr_db"] for row in rows)
    assert len(rows) == sum(2 * len(row.evaluation) * len(row.protocols) for row in CARD.models.values())
    check_references(rows)
    check_sequences()


def check_references(rows: list[dict[str, str]]) -> None:
    """Every figure that the preset quotes stands beside ours."""
    columns = ("reference_psnr_db", "reference_ssim")
    shown = {(row["model"], row[column]) for row in rows for column in columns}
    for name, row in CARD.models.items():
        quoted = [figure for key, figure in row.reference.items() if key.endswith(("psnr_db", "ssim"))]
        assert {(name, f"{figure:.3f}") for figure in quoted} <= shown, name


def check_sequences() -> None:
    """GoPro's have scores of their own; the one that the model card scored is a data set too."""
    scores = json.loads((layout.scores("EDSR_x1", "fp32", "onnxruntime") / "scores.json").read_text())[
        "datasets"
    ]
    overall = scores["gopro_test"]["basicsr"]
    counts = {name: found["images"] for name, found in overall["per_sequence"].items()}
    assert counts == {"GOPR0384_11_00": 2} | {f"GOPR{name}": 1 for name in OTHER_TEST_SEQUENCES}
    assert overall["images"] == 12
    of_the_card = overall["per_sequence"]["GOPR0384_11_00"]["psnr_db"]
    assert scores["gopro_card"]["basicsr"]["psnr_db"] == of_the_card
