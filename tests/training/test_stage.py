"""Rows of `training` in DVC's order: one begins where another ended, and MDSR learns three scales at once."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from in_process import repro
from project import Project, make_project

from edsr_int8.checkpoints.convert import convert, load_network
from edsr_int8.models.description import Description

MDSR = Description("mdsr", features=4, blocks=1, scale=2, res_scale=1.0, upsampler="pixelshuffle")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """After a training of EDSR x2 and one of MDSR that begins from its trunk."""
    made = make_project(tmp_path_factory.mktemp("training") / "one")
    params = made.params
    photos = {"task": "sr", "path": "photos", "hr": "[ab].png", "lr": ""}
    params["datasets"] = {f"x{scale}": {**photos, "scale": scale} for scale in (2, 3, 4)}
    params["datasets"]["still_used"] = {**photos, "task": "deblur", "scale": 1}
    for model in params["models"].values():
        name = "x2" if model["scale"] == 2 else "still_used"
        model.update(evaluation=[name], calibration=name)
    row = {
        "source": "official", "features": 4, "blocks": 1, "scale": 2, "res_scale": 1.0,
        "upsampler": "pixelshuffle", "steps": 4, "batch": 2, "patch": 8, "learning_rate": 1e-3, "warmup": 0,
        "halve_every": 3, "ema": 0, "seed": 1, "precision": "float32", "validate_every": 2,
    }  # fmt: skip
    x2, all_scales = ["x2"], ["x2", "x3", "x4"]
    params["training"] = {
        "a_mdsr": {**row, "network": "mdsr", "datasets": all_scales, "validation": all_scales,
                   "start": "build/training/x2/weights.pt"},
        "x2": {**row, "network": "edsr", "datasets": x2, "validation": x2, "start": "data/weights/random"},
    }  # fmt: skip
    made.write_params(params)
    with pytest.MonkeyPatch.context() as monkeypatch:
        repro(made, monkeypatch, "train@a_mdsr")
    return made


def trained(project: Project, row: str) -> Path:
    return project.folder / "build" / "training" / row


def test_a_row_waits_for_the_weights_that_it_begins_from(project: Project) -> None:
    """In four steps of at most 1e-3 Adam moves no weight by more than 4e-3; random ones differ by more."""
    before, after = (
        torch.load(trained(project, row) / "last.pt", weights_only=True)["head.0.weight"]
        for row in ("x2", "a_mdsr")
    )
    assert 0 < (before - after).abs().max() <= 4.1e-3


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_every_scale_of_the_mdsr_is_a_network(project: Project, tmp_path: Path, scale: int) -> None:
    weights = trained(project, "a_mdsr") / "weights.pt"
    convert(weights, "official", replace(MDSR, scale=scale), tmp_path / "network")
    network, _ = load_network(tmp_path / "network")
    assert network(torch.zeros(1, 3, 5, 6)).shape == (1, 3, 5 * scale, 6 * scale)


def test_the_curves_are_dvc_plots(project: Project) -> None:
    shown = json.loads(project.dvc("plots", "show", "--json", "build/training/x2/loss.csv"))
    (plot,) = shown["data"]["build/training/x2/loss.csv"]
    assert [point["step"] for point in plot["content"]["data"]["values"]] == ["2", "4"]
    assert (trained(project, "a_mdsr") / "validation.csv").exists()


def test_decoded_pixels_are_gone_and_the_checkpoint_stays(project: Project) -> None:
    partial = project.folder / "build" / "partial" / "train" / "a_mdsr"
    assert {path.name for path in partial.iterdir()} == {"checkpoint.pt", "lock"}
