"""Plain YAML values -> typed rows: a dataclass says which keys there are, their types and ranges."""

import dataclasses
import difflib
import re
import types
import typing
from collections.abc import Iterable
from typing import Any

from annotated_types import Ge, Interval

from edsr_int8.errors import InputError

INVISIBLE_TO_DVC = ("size", "nfiles")  # keys that DVC's run cache leaves out: a stale result comes back


class OneOf:
    """The values that a field may take."""

    def __init__(self, *values: Any) -> None:
        self.values = values

    def refusal(self, value: Any) -> str:
        """What is allowed, or '' where `value` is."""
        return "" if value in self.values else ", ".join(map(repr, self.values))


@dataclasses.dataclass(frozen=True)
class Within:
    """A number from `low` to `high`, both included."""

    low: float
    high: float = float("inf")

    def refusal(self, value: Any) -> str:
        """What is allowed, or '' where `value` is."""
        if self.low <= value <= self.high:
            return ""
        return (
            f"at least {self.low:g}"
            if self.high == float("inf")
            else f"from {self.low:g} to {self.high:.10g}"
        )


SEED = Within(0, 2**32 - 1)  # what every generator of random numbers takes


def listed(names: Iterable[Any]) -> str:
    return ", ".join(str(name) for name in names) or "nothing"


def record(cls: type, tree: Any, where: str) -> Any:
    """A mapping -> the dataclass `cls`: every key known, every value of its type and range.

    `where` is the dotted path so far; InputError names the path, the value and what is allowed.
    """
    label = where or "the file"
    if not isinstance(tree, dict):
        raise InputError(f"{label}: expected keys and values, found {tree!r}")
    fields = {f.name: f for f in dataclasses.fields(cls)}
    for key in tree:
        if key not in fields:
            close = difflib.get_close_matches(str(key), fields, 1)
            hint = f"did you mean {close[0]}?" if close else f"allowed: {listed(fields)}"
            raise InputError(f"{_join(where, key)}: unknown key; {hint}")
    required = [n for n, f in fields.items() if f.default is f.default_factory is dataclasses.MISSING]
    if missing := [name for name in required if name not in tree]:
        raise InputError(f"{label}: missing {listed(missing)}")
    hints = typing.get_type_hints(cls, include_extras=True)
    return cls(**{key: _value(hints[key], value, _join(where, key)) for key, value in tree.items()})


def _join(where: str, key: Any) -> str:
    return f"{where}.{key}" if where else str(key)


def _value(kind: Any, value: Any, where: str) -> Any:
    origin = typing.get_origin(kind)
    if origin is typing.Annotated:
        return _limited(kind, value, where)
    if origin is typing.Literal:
        allowed = typing.get_args(kind)
        return _limited(typing.Annotated[type(allowed[0]), OneOf(*allowed)], value, where)
    if dataclasses.is_dataclass(kind):
        return record(typing.cast(type, kind), value, where)
    if origin is types.UnionType:  # the two optional kinds of value: a section, a shape
        section = typing.get_args(kind)[0]
        if section is float:
            return _scalar(section, value, where)
        return _shape(value, where) if typing.get_origin(section) is tuple else record(section, value, where)
    if origin is tuple:
        if not isinstance(value, list) or not value:
            raise InputError(f"{where}: expected a list with at least one entry, found {value!r}")
        return tuple(_value(typing.get_args(kind)[0], v, f"{where}[{i}]") for i, v in enumerate(value))
    if origin is not None:
        return _rows(typing.get_args(kind)[1], value, where)
    return _scalar(kind, value, where)


def _limited(kind: Any, value: Any, where: str) -> Any:
    plain, limit = typing.get_args(kind)
    if isinstance(limit, Ge):
        limit = Interval(ge=limit.ge)
    if isinstance(limit, Interval):
        low, high = typing.cast(tuple[float, float | None], (limit.ge, limit.le))
        limit = Within(low, float("inf") if high is None else high)
    value = _value(plain, value, where)
    if allowed := limit.refusal(value):
        raise InputError(f"{where}: found {value!r}; allowed: {allowed}")
    return value


def _rows(kind: Any, value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InputError(f"{where}: expected rows by name ({{}} for none), found {value!r}")
    for key in value:
        if not isinstance(key, str) or not re.fullmatch(r"[A-Za-z0-9_]+", key):
            raise InputError(f"{where}: row {key!r}: a row's name is text of letters, digits and _ only")
        if key in INVISIBLE_TO_DVC:
            raise InputError(f"{where}.{key}: DVC's run cache does not see this name; choose another")
    return {key: _value(kind, v, f"{where}.{key}") for key, v in value.items()}


def _scalar(kind: type, value: Any, where: str) -> Any:
    words = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}
    if kind is float and type(value) is int:
        value = float(value)
    if type(value) is not kind:  # not isinstance: true is no number here
        raise InputError(f"{where}: expected {words[kind]}, found {value!r}")
    return value


def _shape(value: Any, where: str) -> tuple[int, int] | None:
    if value == "native":
        return None
    if isinstance(value, list) and len(value) == 2 and all(type(v) is int and v > 0 for v in value):
        return value[0], value[1]
    raise InputError(f"{where}: expected native or [height, width], found {value!r}")
