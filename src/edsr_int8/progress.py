"""Progress: bars, on a terminal only so that logs and pipes stay clean, and single lines everywhere."""

import sys
from collections.abc import Iterable
from typing import Any, TypeVar

from tqdm import tqdm

T = TypeVar("T")


def bar(iterable: Iterable[T], desc: str, *, total: int | None = None, unit: str = "it") -> "tqdm[T]":
    """Iterate with a bar on stderr: rate and remaining time. No bar where stderr is no terminal."""
    silent = not sys.stderr.isatty()
    return tqdm(iterable, desc=desc, total=total, unit=unit, disable=silent, leave=False)


def byte_bar(desc: str, *, total: int | None, done: int = 0) -> "tqdm[Any]":
    """A bar in kB, MB and GB, moved by `update(bytes)`; it starts at `done` bytes."""
    silent = not sys.stderr.isatty()
    return tqdm(desc=desc, total=total, initial=done, unit="B", unit_scale=True, disable=silent, leave=False)


def tell(text: str) -> None:
    """Print a line on stderr, above the bars, on a terminal or not: for what takes hours."""
    tqdm.write(text, file=sys.stderr)
