"""What pydantic finds wrong in params.yaml -> one line: the key, what was found there, what is allowed."""

import dataclasses
import difflib
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from annotated_types import Ge, Interval, Le

from edsr_int8.quantization.recipe import Finetune, Recipe

# Keys until 0.1 -> what they are called now.
RENAMED: dict[type, dict[str, str]] = {
    Recipe: {
        "mix": "channel_transform",
        "even": "equalize",
        "bypass": "fold_long_skip",
        "narrow": "collapse_tail",
        "share": "unify_scales",
        "tuning": "finetune (steps, batch) and statistics (crops, patch, seed)",
        "float_layers": "high_precision_layers",
        "budget": "high_precision_budget",
    },
    Finetune: {key: f"statistics.{key}" for key in ("crops", "patch", "seed")},
}
UNKNOWN, MISSING = "unexpected_keyword_argument", "missing"
FIRST = (UNKNOWN, MISSING)  # a misspelt key is also a missing one: it is what there is to correct
WANTED = {  # pydantic's error type -> what was expected
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "string_type": "text",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "too_short": "a list with at least one entry",
    "too_long": "fewer entries",
    "dataclass_type": "keys and values",
    "dict_type": "rows by name ({} for none)",
}
LIMITS = ("literal_error", "greater_than", "greater_than_equal", "less_than_equal")
SHOWN = 60  # characters of a value that is wrong


def refusal(errors: Sequence[Mapping[str, Any]], kind: type) -> str:
    """One line on the error to correct first.

    `errors`: pydantic's `ValidationError.errors()` of the dataclass `kind`.
    """
    error = min(errors, key=lambda one: FIRST.index(one["type"]) if one["type"] in FIRST else len(FIRST))
    place, found = error["loc"], error["input"]
    if error["type"] == UNKNOWN:
        return f"{dotted(place)}: {_unknown(place, kind)}"
    if _is_shape(place):
        return f"{dotted(place[:3])}: expected native or [height, width], found {_shown(found)}"
    if error["type"] == MISSING and isinstance(place[-1], int):
        return f"{dotted(place[:-1])}: expected more entries, found {_shown(found)}"
    if error["type"] == MISSING:
        keys = [one["loc"][-1] for one in errors if (one["type"], one["loc"][:-1]) == (MISSING, place[:-1])]
        return f"{dotted(place[:-1])}: missing {', '.join(keys)}"
    if wanted := WANTED.get(error["type"]):
        quotes = "; put it in quotes" if wanted == "text" and isinstance(found, int | float) else ""
        return f"{dotted(place)}: expected {wanted}, found {_shown(found)}{quotes}"
    if error["type"] in LIMITS:
        return f"{dotted(place)}: found {_shown(found)}; allowed: {_allowed(_annotation(kind, place))}"
    return f"{dotted(place)}: found {_shown(found)}: {error['msg']}"


def _shown(value: Any) -> str:
    """As YAML's plain values look in Python; cut where it is long."""
    text = repr(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def _is_shape(place: Sequence[str | int]) -> bool:
    """Whether the value is the shape of a model: of two kinds, so that pydantic reports on each of them."""
    return place[0:1] == ("models",) and place[2:3] == ("shape",) and len(place) > 3


def dotted(place: Iterable[str | int]) -> str:
    """('models', 'x2', 'protocols', 0) -> 'models.x2.protocols[0]'."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in place)
    return text.removeprefix(".") or "the file"


def _unknown(place: Sequence[str | int], kind: type) -> str:
    key, row = str(place[-1]), _plain(_annotation(kind, place[:-1]))
    known = [field.name for field in dataclasses.fields(row)]
    if renamed := RENAMED.get(row, {}).get(key):
        return f"this key is now {renamed}"
    close = difflib.get_close_matches(key, known, 1)
    return f"unknown key; did you mean {close[0]}?" if close else f"unknown key; allowed: {', '.join(known)}"


def _annotation(kind: Any, place: Iterable[Any]) -> Any:
    """The annotation of the value at `place` in the dataclass `kind`."""
    for step in place:
        kind = _plain(kind)
        if dataclasses.is_dataclass(kind):
            kind = typing.get_type_hints(kind, include_extras=True)[step]
        else:  # rows by name, or a list
            kind = typing.get_args(kind)[1 if isinstance(step, str) else 0]
    return kind


def _plain(kind: Any) -> Any:
    """Without the limits, and without the `None` of a section that may be left out."""
    if typing.get_origin(kind) is typing.Annotated:
        kind = typing.get_args(kind)[0]
    if typing.get_origin(kind) in (types.UnionType, typing.Union):
        (kind,) = [each for each in typing.get_args(kind) if each is not type(None)]
    return kind


def _allowed(kind: Any) -> str:
    """The values of a Literal, or the limits of a number, in words."""
    if typing.get_origin(kind) is typing.Literal:
        return ", ".join(map(repr, typing.get_args(kind)))
    low, high = None, None
    for limit in typing.get_args(kind)[1:]:
        low = getattr(limit, "ge", low) if isinstance(limit, Ge | Interval) else low
        low = low if getattr(limit, "gt", None) is None else f"above {limit.gt}"
        high = getattr(limit, "le", high) if isinstance(limit, Le | Interval) else high
    if isinstance(low, str):
        return f"{low}, to {high}"
    return f"from {low} to {high}" if high is not None else f"at least {low}"
