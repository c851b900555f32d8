"""The executor that runs everything here, in the thread that asks."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from edsr_int8.cluster.work import Contents, Item, R, Work, load
from edsr_int8.progress import Progress


@dataclass(frozen=True)
class InProcess:
    """One stream of items, not cut into batches: the next is read while one is computed."""

    threads: int = 0  # 0: as many as the work itself says

    def map(self, work: Work[R], items: Sequence[Item], desc: str, *, done: int = 0) -> Iterator[R]:
        run = work.open(self.threads)
        with Progress(desc, total=done + len(items), done=done) as progress:

            def contents() -> Iterator[Contents]:
                for item in items:
                    yield load(item)
                    progress.advance(1)

            yield from run(contents())
