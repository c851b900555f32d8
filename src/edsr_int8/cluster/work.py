"""What a stage hands to an executor: a function that travels, and the files that it is mapped over.

A stage fans out by one map. Its items are images, its function is pure, and results come back in any order:
the caller puts them in order or adds them up. Executors differ in where the function runs, never in what it
gives: `in_process`, `threads`, `dask`.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


@dataclass(frozen=True)
class Item:
    """Files that are worked on together: an image, and what it is compared with."""

    name: str  # unique among the items of a map
    paths: tuple[Path, ...]
    weight: float = 0.0  # how long it takes: of items that add up to 1 or more, a batch is full


@dataclass(frozen=True)
class Contents:
    """An item with its files' bytes, which is what travels: workers share no disk with anyone."""

    name: str
    paths: tuple[Path, ...]  # what messages call the files
    files: tuple[bytes, ...]
    digest: str  # sha256 of the name and the files: equal contents have equal results


class Work(Protocol[R_co]):
    """A function over items. It pickles, so that it can run in another process, and reads no file there."""

    @property
    def memory_mb(self) -> int:
        """MiB that a process takes at most for it; 0: no more than it takes anyway."""
        ...

    def facts(self) -> Mapping[str, Any]:
        """What in the process that asks may change a result: see `facts.process_facts`."""
        ...

    def open(self, threads: int) -> Callable[[Iterable[Contents]], Iterator[R_co]]:
        """Load what takes long to load, once; then items give results, as they come.

        `threads`: how many to compute with; 0: as many as the work itself says. No result depends on it.
        """
        ...


class Executor(Protocol):
    """Where work runs."""

    def map(self, work: Work[R], items: Sequence[Item], desc: str, *, done: int = 0) -> Iterator[R]:
        """The results of `work` over all items, in any order, each as soon as it is there.

        Memory does not grow with the number of items. What the work raises is raised here. `desc` and
        `done`, the number of items that an earlier run finished, are for the progress that is shown.
        """
        ...


def load(item: Item) -> Contents:
    """Read an item's files. OSError where one is missing."""
    files = tuple(path.read_bytes() for path in item.paths)
    digest = hashlib.sha256(item.name.encode())
    for data in files:
        digest.update(len(data).to_bytes(8, "big") + data)
    return Contents(item.name, item.paths, files, digest.hexdigest())
