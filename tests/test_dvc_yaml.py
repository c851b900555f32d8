"""dvc.yaml against the code: names, paths, and that every stage sees the code that it runs."""

import re
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from edsr_int8.pipeline import layout, params

ROOT = Path(__file__).resolve().parents[1]
STAGES = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
# A verified download does not depend on the code that brought it: an edit must not fetch gigabytes again.
WITHOUT_CODE = {"fetch", "probe"}


def body(name: str) -> dict[str, Any]:
    return STAGES[name].get("do", STAGES[name])


@pytest.mark.parametrize("name", [name for name in STAGES if name not in WITHOUT_CODE])
def test_every_stage_depends_on_the_code_that_it_runs_and_lists_none_by_hand(name: str) -> None:
    assert str(layout.code(name)) in body(name)["deps"]
    assert not [dep for dep in body(name)["deps"] if dep.endswith(".py")]


def test_packages_hold_no_code_in_init() -> None:
    for file in (ROOT / "src" / "edsr_int8").rglob("__init__.py"):
        assert len(file.read_text(encoding="utf-8").splitlines()) <= 1, file


@pytest.mark.parametrize("name", STAGES)
def test_every_stage_has_a_script_of_its_name_and_a_description(name: str) -> None:
    assert body(name)["cmd"].startswith(f"python -m stages.{name}")
    assert body(name)["desc"]


def test_the_layout_is_the_one_in_dvc_yaml() -> None:
    outs = {
        "fetch": layout.fetched("${key}"),
        "sample": layout.SAMPLE,
        "dataset": layout.dataset("${key}"),
        "training_images": layout.training_images("${key}"),
        "train": layout.training("${key}") / "weights.pt",
        "convert": layout.checkpoint("${key}"),
        "export": layout.export("${item.model}"),
        "model_images": layout.images("${item.model}"),
        "observe": layout.histograms("${item.model}"),
        "coverage": layout.coverage("${item.model}"),
        "gptq": layout.gptq("${item.model}"),
        "sensitivity": layout.sensitivity("${item.model}"),
        "finetune": layout.curve("${item.model}", "${item.precision}"),
        "quantize": layout.onnx("${item.model}", "${item.precision}"),
        "infer": layout.outputs("${item.model}", "${item.precision}", "${item.target}"),
        "time": layout.timing("${item.model}", "${item.precision}", "${item.target}").parent,
        "evaluate": layout.scores("${item.model}", "${item.precision}", "${item.target}"),
        "compare_targets": layout.comparison("${item.model}", "${item.precision}"),
        "bundle": layout.bundle("${item.model}"),
        "probe": layout.probe("x").parent,
    }
    for name, path in outs.items():
        written = [*body(name).get("outs", []), *body(name).get("plots", [])]
        declared = [out if isinstance(out, str) else next(iter(out)) for out in written]
        assert str(path) in declared, name


def test_fid_runs_again_the_scoring_alone() -> None:
    """Its section may be missing, so that no stage can have it under params: the probe writes it down."""
    read = {name: body(name).get("deps", []) for name in STAGES}
    assert [name for name in STAGES if str(layout.fid_probe()) in read[name]] == ["evaluate"]
    assert not any(str(layout.fid_probe().parent) in read[name] for name in STAGES)


def test_reserved_names_cover_the_folders_of_the_pipeline() -> None:
    text = (ROOT / "dvc.yaml").read_text(encoding="utf-8")
    assert set(re.findall(r"build/(\w+)", text)) <= set(layout.RESERVED_MODELS)
    per_model = set(re.findall(r"build/\$\{(?:item\.model|key)\}/(\w+)", text))
    assert per_model - {"fp32"} <= set(layout.RESERVED_PRECISIONS)


@pytest.mark.parametrize("preset", sorted((ROOT / "presets").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_preset_is_valid(preset: Path) -> None:
    params.load(preset)


def test_the_default_is_the_sample_preset() -> None:
    assert (ROOT / "params.yaml").read_bytes() == (ROOT / "presets" / "sample.yaml").read_bytes()
