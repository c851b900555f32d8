"""curve.csv: what is written is read, and what is damaged is refused in one line."""

from pathlib import Path

import pytest

from edsr_int8.errors import InputError
from edsr_int8.quantization.analysis.curves import CurvePoint, read_curve, write_curve

CURVE = [CurvePoint(0, None, 0.5), CurvePoint(3, 0.25, 0.125), CurvePoint(3, None, 0.375)]


def test_file_gives_back_what_was_written(tmp_path: Path) -> None:
    write_curve(tmp_path / "c.csv", CURVE)
    assert read_curve(tmp_path / "c.csv") == CURVE
    lines = (tmp_path / "c.csv").read_text().splitlines()
    assert lines[:2] == ["step,training_mse,held_out_mse", "0,nan,0.50000"]


def test_where_learning_diverged_there_is_nothing_to_draw(tmp_path: Path) -> None:
    diverged = [CurvePoint(5, float("inf"), float("inf")), CurvePoint(9, None, float("nan"))]
    write_curve(tmp_path / "c.csv", [*CURVE, *diverged])
    assert read_curve(tmp_path / "c.csv") == CURVE


def test_recipe_that_does_not_finetune_has_an_empty_curve(tmp_path: Path) -> None:
    write_curve(tmp_path / "c.csv", [])
    assert read_curve(tmp_path / "c.csv") == []


@pytest.mark.parametrize(
    "content",
    ["step,training_mse,held_out_mse\n3,0.5", "step\n3\n", "step,training_mse,held_out_mse\nx,1,1\n"],
)
def test_damaged_curve_is_refused_in_one_line(tmp_path: Path, content: str) -> None:
    (tmp_path / "c.csv").write_text(content)
    with pytest.raises(InputError, match=r"c\.csv: not what finetune writes .*run it again") as refused:
        read_curve(tmp_path / "c.csv")
    assert "\n" not in str(refused.value)
