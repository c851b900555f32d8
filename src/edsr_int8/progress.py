"""Progress: bars, on a terminal only so that logs and pipes stay clean, and single lines everywhere."""

import sys
import time
from collections.abc import Iterable
from typing import Any, Self, TypeVar

from tqdm import tqdm

from edsr_int8.errors import one_line

T = TypeVar("T")

LINE_EVERY_S = 60.0  # where stderr is no terminal


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
    tqdm.write(one_line(text), file=sys.stderr)


class Progress:
    """How many images are done, how many a second, and when the last will be: for work that may take a night.

    A bar on a terminal. Elsewhere, as in the log of a batch job, a line a minute.
    """

    def __init__(
        self, desc: str, *, total: int, done: int = 0, workers: int = 1, unit: str = "image"
    ) -> None:
        """`done` of `total` were finished by an earlier run: they count for neither rate nor time."""
        self._bar = tqdm(
            desc=desc, total=total, initial=done, unit=unit, disable=not sys.stderr.isatty(), leave=False
        )
        self._desc, self._total, self._first, self._done, self._unit = desc, total, done, done, unit
        self._start = self._told = time.monotonic()
        self.workers = workers

    def advance(self, count: int) -> None:
        self._done += count
        if self.workers > 1:
            self._bar.set_postfix(workers=self.workers, refresh=False)
        self._bar.update(count)
        now = time.monotonic()
        if self._bar.disable and now - self._told >= LINE_EVERY_S:
            self._told = now
            tell(self.line(now - self._start))

    def line(self, seconds: float) -> str:
        """`seconds`: since the start of this run."""
        rate = (self._done - self._first) / seconds
        left = tqdm.format_interval((self._total - self._done) / rate) if rate else "unknown time"
        by = f" by {self.workers} workers" if self.workers > 1 else ""
        return (
            f"{self._desc}: {self._done} of {self._total} {self._unit}s, {rate:.3g} a second{by}, {left} left"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()
