"""docs/params.md against the dataclasses that params.yaml is read into: every key, and its default."""

import re
import typing
from collections.abc import Iterator
from dataclasses import MISSING, Field, fields, is_dataclass
from pathlib import Path
from typing import Any

import pytest

from edsr_int8.pipeline.rows import REFERENCE_FIGURES, Params
from edsr_int8.quantization.recipe import Override

PAGE = (Path(__file__).resolve().parents[1] / "docs" / "params.md").read_text(encoding="utf-8")
SECTIONS = {field.name: field.type for field in fields(Params)}
CONDITIONAL = {("precisions", "ranges"): "required for int8"}  # no dataclass says so


def row_class(section: str) -> type | None:
    """The dataclass of a section's rows, or of the section itself; None for plain values."""
    kind = SECTIONS[section]
    kinds = [kind, *typing.get_args(kind)]
    return next((each for each in kinds if is_dataclass(each)), None)  # type: ignore[return-value]


def keys(cls: type) -> Iterator[tuple[str, Field[Any]]]:
    """Names and fields; those of a nested dataclass as in `finetune.steps`."""
    for field in fields(cls):
        if is_dataclass(field.type):
            yield from ((f"{field.name}.{name}", below) for name, below in keys(field.type))  # type: ignore[arg-type]
        else:
            yield field.name, field


def part(section: str) -> str:
    """What the page says of one section."""
    found = re.search(rf"^## `{section}`\n(.*?)(?=^## |\Z)", PAGE, flags=re.MULTILINE | re.DOTALL)
    assert found, f"docs/params.md has no heading for {section}"
    return found[1]


def table(section: str) -> dict[str, str]:
    """Key -> default, from the section's table."""
    rows = re.findall(r"^\| `([\w.]+)` \|[^\n]*?\| ([^|\n]*) \|", part(section), flags=re.MULTILINE)
    return dict(rows)


def default(field: Field[Any]) -> str:
    value = field.default_factory() if field.default_factory is not MISSING else field.default
    if value is MISSING:
        return "required"
    if value in ((), {}, None):
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    return f"`{value or repr(value)}`" if isinstance(value, str) else f"{value:g}"


@pytest.mark.parametrize("section", SECTIONS)
def test_every_key_stands_on_the_page(section: str) -> None:
    cls, text = row_class(section), part(section)
    missing = [name for name, _ in keys(cls) if f"`{name}`" not in text] if cls else []
    assert missing == []


@pytest.mark.parametrize("section", [section for section in SECTIONS if row_class(section)])
def test_the_tables_know_only_keys_that_are_there_with_their_defaults(section: str) -> None:
    cls = row_class(section)
    assert cls
    defaults = {name: CONDITIONAL.get((section, name), default(field)) for name, field in keys(cls)}
    listed = table(section)
    assert listed == {name: defaults.get(name, "no such key") for name in listed}


def test_keys_of_an_override_and_of_published_figures_stand_on_the_page() -> None:
    assert all(f"`{field.name}`" in part("precisions") for field in fields(Override))
    for figure in ("psnr_db", "ssim", "int8_psnr_db", "int8_ssim", "card_flops_g", "params_m"):
        assert figure in REFERENCE_FIGURES and f"`{figure}`" in part("models")
