"""Where there is no bundle, its folder says what to set."""

from dataclasses import replace
from pathlib import Path

import pytest
from stages.bundle import bundle

from edsr_int8.pipeline import layout, params

SAMPLE = Path(__file__).resolve().parents[3] / "presets" / "sample.yaml"
MODEL = "edsr_x2_sample"


@pytest.mark.parametrize(
    "shape, says",
    [
        (None, f"set models.{MODEL}.shape"),
        ((16, 16), f"images of the protocol card; add card to models.{MODEL}.protocols"),
    ],
)
def test_a_model_that_the_accelerator_cannot_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shape: tuple[int, int] | None, says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = params.load(SAMPLE)
    model = replace(rows.models[MODEL], shape=shape)
    bundle(replace(rows, models={MODEL: model}), MODEL)
    (readme,) = layout.bundle(MODEL).iterdir()
    assert readme.read_text().startswith("No bundle: ") and says in readme.read_text()
