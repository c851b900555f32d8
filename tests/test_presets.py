"""Every preset is valid, and its rows fit each other and the hashes that publishers put in file names."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from edsr_int8.data.download.urls import file_name
from edsr_int8.models.description import scales
from edsr_int8.pipeline import layout, params

PRESETS = sorted((Path(__file__).resolve().parents[1] / "presets").glob("*.yaml"))


@pytest.mark.parametrize("preset", PRESETS, ids=lambda path: path.stem)
def test_weights_are_where_their_download_puts_them(preset: Path) -> None:
    rows = params.load(preset)
    files = {layout.fetched(key) / file_name(row.urls[0]) for key, row in rows.downloads.items()}
    wanted = {Path(row.weights) for row in rows.models.values()}
    assert {path for path in wanted if path.is_relative_to("data/fetched")} <= files


@pytest.mark.parametrize("preset", PRESETS, ids=lambda path: path.stem)
def test_every_download_is_used(preset: Path) -> None:
    rows = params.load(preset)
    paths = [row.weights for row in rows.models.values()]
    paths += [f"{row.path}/{pattern}" for row in rows.datasets.values() for pattern in (row.hr, row.lr)]
    unused = [key for key in rows.downloads if not any(f"data/fetched/{key}/" in path for path in paths)]
    assert unused == []


@pytest.mark.parametrize("name", ["card", "card_small"])
def test_fid_is_asked_for_by_removing_the_marks_of_its_comment(name: str, tmp_path: Path) -> None:
    text = (PRESETS[0].parent / f"{name}.yaml").read_text(encoding="utf-8")
    before, comment = text.split("# fid:\n")
    lines = comment.split("\n\n")[0].splitlines()
    asked = tmp_path / "params.yaml"
    asked.write_text(before + "\n".join(["fid:", *(line.removeprefix("# ") for line in lines)]) + "\n"
                     + comment.split("\n\n", 1)[1])  # fmt: skip
    assert params.load(PRESETS[0].parent / f"{name}.yaml").fid is None
    fid = params.load(asked).fid
    assert fid is not None and Path(fid.weights).name == file_name(fid.urls[0])
    assert Path(fid.weights).stem.endswith(f"-{fid.sha256}")


@pytest.mark.parametrize("preset", PRESETS, ids=lambda path: path.stem)
def test_a_hash_begins_as_the_file_name_says(preset: Path) -> None:
    for row in params.load(preset).downloads.values():
        named = re.search(r"-([0-9a-f]{8})\.pth?$", file_name(row.urls[0]))
        assert named is None or row.sha256.startswith(named[1])


@pytest.mark.parametrize("preset", PRESETS, ids=lambda path: path.stem)
def test_trained_weights_come_from_a_row_of_that_network(preset: Path) -> None:
    rows = params.load(preset)
    made = {str(layout.training(key) / "weights.pt"): row for key, row in rows.training.items()}
    used = {row.weights for row in rows.models.values()} | {row.start for row in rows.training.values()}
    assert {path for path in used if path.startswith("build/")} <= made.keys()
    for model in rows.models.values():
        if row := made.get(model.weights):
            assert model.source == row.source
            assert model.scale in scales(row.description)
            assert model.description == replace(row.description, scale=model.scale)
