"""The executor that runs batches in threads of this process, each with the work opened for itself."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from queue import SimpleQueue

from edsr_int8.cluster.batches import batches
from edsr_int8.cluster.work import Contents, Item, R, Work, load
from edsr_int8.machine import cores
from edsr_int8.progress import Progress

AHEAD = 2  # batches for each thread that are on their way at a time


@dataclass(frozen=True)
class Threads:
    """The cores are shared out evenly. Each thread takes the memory that the work takes in a process."""

    count: int

    def map(self, work: Work[R], items: Sequence[Item], desc: str, *, done: int = 0) -> Iterator[R]:
        idle: SimpleQueue[Callable[[Iterable[Contents]], Iterator[R]] | None] = SimpleQueue()
        for _ in range(self.count):
            idle.put(None)

        def run(batch: list[Item]) -> list[R]:
            opened = idle.get() or work.open(max(1, cores() // self.count))
            try:
                return list(opened(map(load, batch)))
            finally:
                idle.put(opened)

        pool = ThreadPoolExecutor(self.count)
        running: dict[Future[list[R]], int] = {}
        waiting = batches(items)
        try:
            with Progress(desc, total=done + len(items), done=done, workers=self.count) as progress:
                while True:
                    while len(running) < AHEAD * self.count and (batch := next(waiting, None)):
                        running[pool.submit(run, batch)] = len(batch)
                    if not running:
                        return
                    for future in wait(running, return_when=FIRST_COMPLETED).done:
                        progress.advance(running.pop(future))
                        yield from future.result()
        finally:
            pool.shutdown(cancel_futures=True)
