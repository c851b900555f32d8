"""The comparison of targets in the stage that scores, in a folder with the images of three of them."""

import json
from pathlib import Path

import numpy as np
import pytest
from project import tiny_params
from ruamel.yaml import YAML
from stages.evaluate import compare_targets

from edsr_int8.data.images import write_png
from edsr_int8.files import write_json
from edsr_int8.pipeline import layout, params
from edsr_int8.pipeline.rows import Params

GREY = {"onnxruntime": 100, "exact": 100, "other": 102}


def load(folder: Path, **targets: str) -> Params:
    """The tiny project's rows with these targets: name -> runtime, or runtime/rounding."""
    tree = tiny_params()
    for name, runtime in targets.items():
        tree["targets"][name] = dict(zip(("runtime", "rounding"), runtime.split("/"), strict=False))
    YAML(typ="safe").dump(tree, folder / "params.yaml")
    return params.load(folder / "params.yaml")


@pytest.fixture(autouse=True)
def outputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for target, value in GREY.items():
        folder = layout.outputs("tiny_x2", "int8", target)
        write_json(folder / "status.json", {"status": "ok"})
        write_png(folder / "evaluation" / "photos_x2" / "a.png", np.full((4, 5, 3), value, np.uint8))


def test_every_other_target_is_compared_with_the_exact_one(tmp_path: Path) -> None:
    compare_targets(load(tmp_path, exact="integer", other="openvino"), "tiny_x2", "int8")
    assert json.loads(layout.comparison("tiny_x2", "int8").read_text()) == {
        "onnxruntime": {"evaluation/photos_x2": {"equal_share": 1.0, "max_difference": 0}},
        "other": {"evaluation/photos_x2": {"equal_share": 0.0, "max_difference": 2}},
    }


def test_without_an_exact_target_there_is_nothing_to_compare_with(tmp_path: Path) -> None:
    compare_targets(load(tmp_path, other="openvino"), "tiny_x2", "int8")
    assert json.loads(layout.comparison("tiny_x2", "int8").read_text()) == {}


def test_the_reference_is_the_row_that_rounds_as_onnxruntime_whatever_the_order(tmp_path: Path) -> None:
    """A row with another rule is compared like any other target, wherever it stands."""
    compare_targets(load(tmp_path, other="integer/fused", exact="integer"), "tiny_x2", "int8")
    found = json.loads(layout.comparison("tiny_x2", "int8").read_text())
    assert set(found) == {"onnxruntime", "other"}
    assert found["other"]["evaluation/photos_x2"]["max_difference"] == 2


def test_an_integer_row_with_another_rule_is_no_reference(tmp_path: Path) -> None:
    compare_targets(load(tmp_path, other="integer/fused"), "tiny_x2", "int8")
    assert json.loads(layout.comparison("tiny_x2", "int8").read_text()) == {}
