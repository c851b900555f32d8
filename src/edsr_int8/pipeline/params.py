"""params.yaml -> `Params`: the only reader of that file, and the one that refuses what it does not know."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.events import CollectionEndEvent, CollectionStartEvent

from edsr_int8.errors import InputError
from edsr_int8.files import at_home, require_plain
from edsr_int8.pipeline.refusals import dotted, refusal
from edsr_int8.pipeline.rows import Params
from edsr_int8.pipeline.rules import check_rows

MOST_BYTES = 2**20
DEEPEST = 16  # values in values; rows have 5
MOST_TEXT = 4096  # characters of a value: Linux has no longer paths
MOST_NAME = 64  # of a key: three of them make the name of a file, which may have 255
SHOWN = 300  # characters of what the reader of YAML says
INVISIBLE_TO_DVC = ("size", "nfiles")  # keys that DVC's run cache leaves out: a stale result comes back


def load(path: Path) -> Params:
    """Read and check `path`. InputError names the file, row and key, and what is allowed."""
    try:
        tree = _tree(path)
        params = parse(tree)
        check_rows(params, tree)
        return _with_home(params)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def _tree(path: Path) -> Any:
    """Plain YAML values. InputError: none, or more than settings are."""
    require_plain(path)
    try:
        if path.stat().st_size > MOST_BYTES:
            raise InputError(f"has more than {MOST_BYTES} bytes; settings have a few thousand")
        text = path.read_text(encoding="utf-8")
        _check_nesting(text)
        return YAML(typ="safe").load(text)  # DVC's reader: both see the same
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError("not found; copy one of presets/ there") from None
    except OSError as error:
        raise InputError(f"{error.strerror or error}") from None
    except Exception as error:  # no YAML, no UTF-8; ValueError: dates and numbers that are none
        raise InputError(f"not YAML: {' '.join(str(error).split())[:SHOWN]}") from None


def _check_nesting(text: str) -> None:
    """InputError: anchors, which DVC rewrites and which make a few lines gigabytes, or values very deep."""
    depth = 0
    for event in YAML(typ="safe").parse(text):
        if getattr(event, "anchor", None):
            raise InputError(f"the anchor {event.anchor}: write the value itself, as DVC keeps no anchors")
        depth += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
        if depth > DEEPEST:
            raise InputError(f"values in each other, more than {DEEPEST} deep")


def _with_home(params: Params) -> Params:
    """`~` as the home folder, in the paths that DVC does not watch. InputError: there is no such user."""
    targets = {
        key: replace(
            row,
            outputs=at_home(row.outputs, f"targets.{key}.outputs"),
            python=at_home(row.python, f"targets.{key}.python"),
        )
        for key, row in params.targets.items()
    }
    fid = params.fid and replace(params.fid, weights=at_home(params.fid.weights, "fid.weights"))
    return replace(params, targets=targets, mirror=at_home(params.mirror, "mirror"), fid=fid)


def parse(tree: Any) -> Params:
    """Plain YAML values as typed rows. InputError: an unknown or missing key, a type or value not allowed."""
    _check_tree(tree, ())
    try:
        # As JSON: only there does `strict` take a list for a tuple, and keys and values for a dataclass.
        return TypeAdapter(Params).validate_json(json.dumps(tree))
    except ValidationError as error:
        raise InputError(refusal(error.errors(include_url=False), Params)) from None


def _check_tree(value: Any, place: tuple[Any, ...]) -> None:
    """InputError: a key that DVC cannot work with, or a value that is none of JSON's, at any depth."""
    if isinstance(value, dict):
        for key, below in value.items():
            _check_key((*place, key))
            _check_tree(below, (*place, key))
    elif isinstance(value, list):
        for index, below in enumerate(value):
            _check_tree(below, (*place, index))
    elif isinstance(value, str) and not value.isprintable():
        raise InputError(f"{dotted(place)}: holds a line end or a control character; leave it out")
    elif isinstance(value, str) and len(value) > MOST_TEXT:
        raise InputError(f"{dotted(place)}: has {len(value)} characters; at most {MOST_TEXT}")
    elif not isinstance(value, str | int | float | None):
        raise InputError(f"{dotted(place)}: found the {type(value).__name__} {value}; put text in quotes")


def _check_key(place: tuple[Any, ...]) -> None:
    """DVC puts keys into the names of stages and files, and its run cache does not see some of them."""
    *above, key = place
    if not isinstance(key, str) or not re.fullmatch(r"[A-Za-z0-9_]+", key):
        raise InputError(
            f"{dotted(above)}: key {key!r:.{SHOWN}}: a name is text of letters, digits and _ only"
        )
    if len(key) > MOST_NAME:
        raise InputError(f"{dotted(above)}: key {key[:MOST_NAME]}...: a name has at most {MOST_NAME} letters")
    if key in INVISIBLE_TO_DVC:
        raise InputError(f"{dotted(place)}: DVC's run cache does not see this name; choose another")
