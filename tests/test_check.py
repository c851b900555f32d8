"""What `edsr-int8 check` says of rows before anything runs."""

from dataclasses import replace
from pathlib import Path

from edsr_int8 import layout, params
from edsr_int8.check import plan
from edsr_int8.params import Fid, Params

PRESETS = Path(__file__).resolve().parents[1] / "presets"


def card(**changes: object) -> Params:
    return replace(params.load(PRESETS / "card_small.yaml"), **changes)


def test_bytes_to_fetch_are_those_that_are_not_here(tmp_path: Path) -> None:
    rows = card()
    stated = sum(row.bytes for row in rows.downloads.values())
    assert plan(rows, tmp_path).fetch_bytes == stated
    assert plan(rows, tmp_path).fetch_unknown == ("edsr_mx2",)
    (tmp_path / layout.fetched("div2k_valid_hr")).mkdir(parents=True)
    assert plan(rows, tmp_path).fetch_bytes == stated - rows.downloads["div2k_valid_hr"].bytes


def test_a_large_network_without_its_res_scale_is_a_warning(tmp_path: Path) -> None:
    rows = params.load(PRESETS / "card.yaml")
    assert plan(rows, tmp_path).warnings == ()
    wrong = replace(rows, models=rows.models | {"EDSR_x2": replace(rows.models["EDSR_x2"], res_scale=1.0)})
    (warning,) = plan(wrong, tmp_path).warnings
    assert "models.EDSR_x2.res_scale" in warning and "0.1" in warning


def test_fid_that_cannot_be_had_is_a_warning(tmp_path: Path) -> None:
    (warning,) = plan(card(fid=Fid("w.pth", "6726825d")), tmp_path).warnings
    assert "fid.weights: w.pth is not there" in warning and "left out" in warning
    assert plan(card(fid=Fid("w.pth", "6726825d", ("https://host/w.pth",))), tmp_path).warnings == ()
