"""Results that outlast a kill: each item's result is a file at once, and the next run goes on from there."""

import contextlib
import hashlib
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from edsr_int8.cluster.work import Executor, Item, Work, load
from edsr_int8.errors import InputError
from edsr_int8.files import atomic


@dataclass(frozen=True)
class Result:
    """What work gives that can go on after a kill: a file for each item."""

    name: str  # of the item ...
    digest: str  # ... and of its contents
    data: bytes


@dataclass(frozen=True)
class Kept:
    """A folder with a file for each result, named by a hash of all that the result depends on.

    So nothing in it is ever out of date: another build, other code or another image give another name.
    """

    folder: Path
    identity: str  # of the work: all of it that may change a result

    def path(self, digest: str) -> Path:
        return self.folder / hashlib.sha256(f"{self.identity}\n{digest}".encode()).hexdigest()


def complete(
    executor: Executor, work: Work[Result], items: Sequence[Item], kept: Kept, desc: str
) -> Mapping[str, Path]:
    """Item's name -> the file with its result. Work runs over the items that have none yet."""
    found: dict[str, Path] = {}
    missing: Sequence[Item] = items
    kept.folder.mkdir(parents=True, exist_ok=True)
    if any(kept.folder.iterdir()):
        for item in items:
            if (path := kept.path(load(item).digest)).exists():
                found[item.name] = path
        missing = [item for item in items if item.name not in found]
    for result in executor.map(work, missing, desc, done=len(found)):
        path = kept.path(result.digest)
        with atomic(path) as temporary:
            temporary.write_bytes(result.data)
        found[result.name] = path
    return found


@contextlib.contextmanager
def unfinished(folder: Path, what: str) -> Iterator[None]:
    """Make `folder`, work in it alone, and delete it in the end; where the work stops, it stays.

    InputError, about `what`, where another process works in it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder.with_name(f"{folder.name}.lock"), timeout=0):
            yield
            shutil.rmtree(folder)
    except Timeout:
        raise InputError(
            f"{what}: {folder}: another process works there, perhaps one that a killed run left; wait for it "
            "or end it, then run again"
        ) from None
