"""Progress: bars on a terminal only, so that logs and pipes stay clean; a line now and then anywhere."""

import sys
from collections.abc import Iterable
from typing import Any, TypeVar

from tqdm import tqdm

T = TypeVar("T")


def bar(iterable: Iterable[T], desc: str, *, total: int | None = None, unit: str = "it") -> "tqdm[T]":
    """Iterate with a bar on stderr: rate and remaining time; silent where stderr is no terminal."""
    silent = not sys.stderr.isatty()
    return tqdm(iterable, desc=desc, total=total, unit=unit, disable=silent, leave=False)


def byte_bar(desc: str, *, total: int | None, done: int = 0) -> "tqdm[Any]":
    """A bar to `update(bytes)` by hand, in kB, MB and GB; `done` bytes were there before it began."""
    silent = not sys.stderr.isatty()
    return tqdm(desc=desc, total=total, initial=done, unit="B", unit_scale=True, disable=silent, leave=False)


def tell(text: str) -> None:
    """A line on stderr, above the bars: for what goes on for hours, on a terminal or not."""
    tqdm.write(text, file=sys.stderr)
