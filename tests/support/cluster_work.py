"""Work of a few lines, for tests of executors: importable on a worker."""

import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edsr_int8.cluster.work import Contents, Item
from edsr_int8.errors import InputError

POISON, WRONG = b"kill", b"wrong"
FAKED = "ECHO_ONNXRUNTIME"
OPENED: list[int] = []  # in this process: with how many threads, each time


@dataclass(frozen=True)
class Echo:
    """Gives each item's name and contents back, and the process that worked on it.

    An item of POISON kills the process; one of WRONG is refused. The variable FAKED changes the facts.
    """

    memory_mb: int = 0
    sleep_s: float = 0

    def facts(self) -> Mapping[str, Any]:
        return {"onnxruntime": os.environ.get(FAKED, "2.0")}

    def open(self, threads: int) -> Callable[[Iterable[Contents]], Iterator[tuple[str, bytes, int]]]:
        OPENED.append(threads)
        return self._run

    def _run(self, contents: Iterable[Contents]) -> Iterator[tuple[str, bytes, int]]:
        for item in contents:
            if item.files[0] == POISON:
                os.kill(os.getpid(), signal.SIGKILL)
            if item.files[0] == WRONG:
                raise InputError(f"{item.paths[0]}: is wrong")
            time.sleep(self.sleep_s)
            yield item.name, item.files[0], os.getpid()


def opened() -> list[int]:
    """Where it runs: with how many threads work was opened, each time that it was."""
    return list(OPENED)


def write_items(folder: Path, contents: Mapping[str, bytes]) -> list[Item]:
    folder.mkdir(exist_ok=True)
    for name, data in contents.items():
        (folder / name).write_bytes(data)
    return [Item(name, (folder / name,)) for name in contents]
