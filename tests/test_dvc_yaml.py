"""The dvc.yaml files against the code: names, paths, and that every stage sees the code that it runs."""

import re
from pathlib import Path
from typing import Any

import pytest
from dvc.repo import Repo
from dvc.repo.reproduce import plan_repro
from pipeline_files import PIPELINE_FILES, ROOT, STAGES
from ruamel.yaml import YAML

from edsr_int8.pipeline import layout, params

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


def test_the_layout_is_the_one_in_the_dvc_yaml_files() -> None:
    outs = {
        "fetch": layout.fetched("${key}"),
        "sample": layout.SAMPLE,
        "dataset": layout.dataset("${key}"),
        "dataset_digests": layout.dataset_digest("x", "y").parents[1],
        "training_images": layout.training_images("${key}"),
        "train": layout.training("${key}") / "weights.pt",
        "convert": layout.checkpoint("${key}"),
        "export": layout.export("${item.model}"),
        "model_images": layout.images("${item.model}"),
        "observe": layout.histograms("${item.model}"),
        "observed_digests": layout.observed_digest("${item.model}", "x").parent,
        "calibration_digests": layout.calibration_digest("${item.model}", "x", "y").parents[1],
        "coverage": layout.coverage("${item.model}"),
        "gptq": layout.gptq("${item.model}"),
        "sensitivity": layout.sensitivity("${item.model}"),
        "finetune": layout.curve("${item.model}", "${item.precision}"),
        "quantize": layout.onnx("${item.model}", "${item.precision}"),
        "infer": layout.outputs("${item.model}", "${item.precision}", "${item.target}"),
        "time": layout.timing("${item.model}", "${item.precision}", "x").parent.parent,
        "evaluate": layout.scores("${item.model}", "${item.precision}", "x").parent,
        "bundle": layout.bundle("${item.model}"),
        "probe": layout.probe("x").parent,
    }
    for name, path in outs.items():
        written = [*body(name).get("outs", []), *body(name).get("plots", [])]
        declared = [out if isinstance(out, str) else next(iter(out)) for out in written]
        assert str(path) in declared, name


@pytest.mark.parametrize("file", PIPELINE_FILES[1:], ids=lambda file: file.parent.name)
def test_a_folder_is_named_after_its_only_stage_and_runs_in_the_repository(file: Path) -> None:
    """One lock for each kind of stage: DVC reads and writes a whole lock at every stage of it."""
    read = YAML(typ="safe").load(file.read_text(encoding="utf-8"))
    assert list(read["stages"]) == [file.parent.name] and read["vars"] == ["../../params.yaml"]
    assert body(file.parent.name)["wdir"] == "../.."


def test_a_plain_dvc_repro_runs_every_stage() -> None:
    """It runs the stages of the repository's own dvc.yaml, and what these need."""
    with Repo(str(ROOT)) as repo:
        stages = set(repo.index.stages)
        own = [stage for stage in stages if Path(stage.path) == ROOT / "dvc.yaml"]
        assert set(plan_repro(repo.index.graph, own)) == stages


def test_fid_runs_again_the_scoring_alone() -> None:
    """Its section may be missing, so that no stage can have it under params: the probe writes it down."""
    read = {name: body(name).get("deps", []) for name in STAGES}
    assert [name for name in STAGES if str(layout.fid_probe()) in read[name]] == ["evaluate"]
    assert not any(str(layout.fid_probe().parent) in read[name] for name in STAGES)


def test_reserved_names_cover_the_folders_of_the_pipeline() -> None:
    text = "".join(file.read_text(encoding="utf-8") for file in PIPELINE_FILES)
    assert set(re.findall(r"build/(\w+)", text)) <= set(layout.RESERVED_MODELS)
    per_model = set(re.findall(r"build/\$\{(?:item\.model|key)\}/(\w+)", text))
    assert per_model - {"fp32"} <= set(layout.RESERVED_PRECISIONS)


@pytest.mark.parametrize("preset", sorted((ROOT / "presets").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_preset_is_valid(preset: Path) -> None:
    params.load(preset)


def test_the_default_is_the_sample_preset() -> None:
    assert (ROOT / "params.yaml").read_bytes() == (ROOT / "presets" / "sample.yaml").read_bytes()
