"""Images that DVC does not see a stage read, and that are not there."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from stages.gptq import gptq
from stages.infer import infer
from stages.observe import observe
from stages.sensitivity import sensitivity

from edsr_int8.data.images import write_png
from edsr_int8.errors import InputError
from edsr_int8.files import write_json
from edsr_int8.pipeline import layout, params
from edsr_int8.pipeline.model_images import calibration_images
from edsr_int8.pipeline.rows import Params
from edsr_int8.pipeline.settings import settings

ROOT = Path(__file__).resolve().parents[2]
MODEL = "edsr_x2_sample"


@pytest.fixture
def rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Params:
    found = params.load(ROOT / "presets" / "sample.yaml")
    monkeypatch.chdir(tmp_path)
    for path, value in settings(found).items():
        write_json(path, value)
    return found


def test_calibration_images_come_sorted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("b", "a/c"):
        write_png(layout.images("m") / "calibration" / f"{name}.png", np.zeros((2, 2, 3), np.uint8))
    folder = layout.images("m") / "calibration"
    assert calibration_images("m") == [folder / "a/c.png", folder / "b.png"]


@pytest.mark.parametrize("stage", [observe, gptq, sensitivity])
def test_a_stage_without_calibration_images_says_how_to_get_them(
    stage: Callable[[Params, str], None], rows: Params
) -> None:
    with pytest.raises(InputError, match=r"images/calibration: no images are here; .*dvc pull"):
        stage(rows, MODEL)


def test_a_build_is_not_run_on_no_images(rows: Params) -> None:
    """It would be a run without an image, and all well."""
    with pytest.raises(InputError, match=r"images/evaluation/sample_x2: no images are here; .*dvc pull"):
        infer(rows, MODEL, "fp32", "onnxruntime")
