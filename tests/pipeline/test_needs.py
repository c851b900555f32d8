"""Stages that serve all precisions do nothing where none needs them."""

from pathlib import Path

import pytest
from stages.coverage import coverage
from stages.gptq import gptq
from stages.observe import observe
from stages.sensitivity import sensitivity

from edsr_int8.files import write_json
from edsr_int8.pipeline import layout, params
from edsr_int8.pipeline.needs import skip_unneeded
from edsr_int8.pipeline.rows import Params
from edsr_int8.pipeline.settings import settings
from edsr_int8.quantization.recipe import Finetune, Override, Recipe
from edsr_int8.report.analysis import Analysis, read_analysis

ROOT = Path(__file__).resolve().parents[2]
STRICT = Recipe("int8", "percentile", 99.99)


def needs(*recipes: Recipe) -> set[str]:
    rows = params.load(ROOT / "presets" / "sample.yaml")
    named = {f"row{i}": recipe for i, recipe in enumerate((Recipe("float32"), *recipes))}
    found = settings(Params(**{**vars(rows), "precisions": named}))
    return {stage for stage in ("observe", "gptq", "sensitivity") if found[layout.settings(stage)]}


def changed(**keys: object) -> Recipe:
    return Recipe(**{**vars(STRICT), **keys})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("recipes", "stages"),
    [
        ([], set()),
        ([STRICT], {"observe"}),
        ([changed(gptq=True)], {"observe", "gptq"}),
        ([changed(overrides=(Override("head", "search"),), gptq=True)], {"observe"}),
        ([changed(channel_transform=True, finetune=Finetune(9), gptq=True)], set()),
        ([changed(collapse_tail=True, high_precision_layers=("tail",))], set()),
        ([changed(channel_transform=True, high_precision_budget=0.1)], {"observe", "sensitivity"}),
        ([changed(gptq=True), changed(high_precision_budget=0.1)], {"observe", "gptq", "sensitivity"}),
    ],
)
def test_a_stage_is_needed_where_a_recipe_reads_what_it_makes(
    recipes: list[Recipe], stages: set[str]
) -> None:
    assert needs(*recipes) == stages


def test_stages_that_are_not_needed_write_an_empty_file_which_their_readers_understand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = params.load(ROOT / "presets" / "sample_scores.yaml")  # calibrates nothing
    monkeypatch.chdir(tmp_path)
    for path, value in settings(rows).items():
        write_json(path, value)
    for stage in (observe, coverage, gptq, sensitivity):
        stage(rows, "m")  # there is no graph and no image to read
    assert layout.gptq("m").read_bytes() == b""
    read = read_analysis(layout.sensitivity("m"), layout.histograms("m"), layout.coverage("m"), {})
    assert read == Analysis([], {}, {}, {})


def test_a_stage_that_is_needed_is_not_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_json(layout.settings("observe"), True)
    assert not skip_unneeded("observe", tmp_path / "out") and not (tmp_path / "out").exists()
