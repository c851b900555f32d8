"""Rows put into the text of params.yaml: every other byte of it, comments too, stays as it is."""

from collections.abc import Mapping
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.nodes import MappingNode, SequenceNode

INDENT = "  "
WIDTH = 110  # a longer row gets a line for each key


def insert_rows(text: str, section: str, rows: Mapping[str, Mapping[str, Any]]) -> str:
    """`text` with `rows` after the last one of its top-level `section`.

    ValueError where `text` has no such section of rows.
    """
    found = next((value for key, value in YAML().compose(text).value if key.value == section), None)
    if not isinstance(found, MappingNode):
        raise ValueError(f"{section}: no section of rows")
    newline = "\r\n" if "\r\n" in text else "\n"
    if found.flow_style and found.value:  # {a: ..., b: ...}
        at = _end(found.value[-1][1])
        return text[:at] + "".join(f", {name}: {_flow(row)}" for name, row in rows.items()) + text[at:]
    if found.flow_style:  # {}
        text = text[: found.start_mark.index].rstrip() + text[found.end_mark.index :]
        at, margin = found.start_mark.index - 1, INDENT
    else:
        at, margin = _end(found), " " * found.start_mark.column
    next_line = text.find("\n", at) + 1 or len(text)
    before = text[:next_line] + ("" if text[:next_line].endswith("\n") else newline)
    lines = [line for name, row in rows.items() for line in _lines(name, row, margin)]
    return before + "".join(f"{line}{newline}" for line in lines) + text[next_line:]


def _end(node: Any) -> int:
    """Where the last value of a node ends; ruamel's own mark of a block lies after the comments below it."""
    if isinstance(node, MappingNode | SequenceNode) and not node.flow_style and node.value:
        last = node.value[-1]
        return _end(last[1] if isinstance(node, MappingNode) else last)
    return int(node.end_mark.index)


def _lines(name: str, row: Mapping[str, Any], margin: str) -> list[str]:
    line = f"{margin}{name}: {_flow(row)}"
    if len(line) <= WIDTH:
        return [line]
    return [f"{margin}{name}:", *(f"{margin}{INDENT}{key}: {_flow(value)}" for key, value in row.items())]


def _flow(value: Any) -> str:
    """YAML in one line. Text that is more than a word is quoted."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_flow(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_flow(one) for one in value) + "]"
    if isinstance(value, str):
        plain = value.isidentifier() and YAML(typ="safe").load(value) == value  # `true` is no text
        return value if plain else "'" + value.replace("'", "''") + "'"
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
