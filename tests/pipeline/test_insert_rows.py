"""Rows put into YAML text: what was there stays byte for byte, and ruamel reads the rows back."""

import difflib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from edsr_int8.pipeline.insert_rows import insert_rows

ROOT = Path(__file__).resolve().parents[2]
ROW = {"task": "sr", "scale": 2, "path": "/a b/c: 'd' #e", "hr": "*.png", "lr": "", "mean": [0.4488, 0.0]}
LONG = ROW | {"weights": "/" + "very_" * 20 + "long.pt"}


def read(text: str) -> dict:
    return YAML(typ="safe").load(text)


@pytest.mark.parametrize(
    "text",
    [
        "a: {x: {y: 1}}  # comment\nb: {}\n",
        "b: {}  # none yet\n",
        "b: {}",
        "b:\n  first: {x: 1}  # its comment\n\n# of c\nc: 1\n",
        "b:\n  first:\n    x: 1\n    y: [1, 2]\n  # a row that is out: {x: 2}\n\nc: {}\n",
        "b:\n    first:\n        list:\n        - 1\n        - 2\nc: {}\n",
        "b:\n  first: {x: 1,\n    y: 2}\nc: {}\n",
        "b: {first: {x: 1}}\nc: 1\n",
        "b:\n  first: {x: 1}",
        "b:\r\n  first: {x: 1}\r\nc: 1\r\n",
    ],
)
@pytest.mark.parametrize("row", [ROW, LONG])
def test_nothing_else_changes(text: str, row: dict) -> None:
    changed = insert_rows(text, "b", {"new": row, "newer": row})
    before = read(text)
    assert read(changed) == before | {"b": before["b"] | {"new": row, "newer": row}}
    assert list(read(changed)["b"])[-2:] == ["new", "newer"]
    for word in ("# comment", "# none yet", "# its comment", "# of c", "# a row that is out: {x: 2}"):
        assert (word in changed) == (word in text)
    assert changed.count("\r\n") in (0, changed.count("\n"))


@pytest.mark.parametrize("preset", sorted((ROOT / "presets").glob("*.yaml")), ids=lambda path: path.stem)
@pytest.mark.parametrize("section", ["datasets", "models"])
def test_a_preset_gains_lines_and_loses_none(preset: Path, section: str) -> None:
    text = preset.read_text(encoding="utf-8")
    changed = insert_rows(text, section, {"new": LONG})
    lines = difflib.ndiff(text.splitlines(), changed.splitlines())
    assert {line[0] for line in lines if line[0] in "+-"} == {"+"}
    assert read(changed) == read(text) | {section: read(text)[section] | {"new": LONG}}


@given(st.text(st.characters(min_codepoint=32, exclude_categories=["Cc", "Cs", "Zl", "Zp"])))
def test_any_text_comes_back(path: str) -> None:
    assert read(insert_rows("b: {}\n", "b", {"new": {"path": path}})) == {"b": {"new": {"path": path}}}


@pytest.mark.parametrize("word", ["true", "null", "yes", "on", "1e3", "0x10", "", "a: b", "-", "No"])
def test_text_that_yaml_would_take_for_something_else_is_quoted(word: str) -> None:
    assert read(insert_rows("b: {}\n", "b", {"new": {"path": word}})) == {"b": {"new": {"path": word}}}


def test_a_section_that_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match="c: no section of rows"):
        insert_rows("b: {}\n", "c", {"new": ROW})
