"""The executor that runs batches on the workers of a Dask cluster.

Tasks carry the images' bytes, and results come back as bytes, so that nothing but the scheduler's address is
shared. Nothing is scattered: data that Dask holds is lost with the worker that holds it, a task is run again.
"""

import contextlib
import pickle
import time
import uuid
from asyncio import AbstractEventLoop
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any, Generic

import dask
from distributed import Client, Future, KilledWorker
from distributed.client import ClosedClientError

from edsr_int8.cluster.batches import batches
from edsr_int8.cluster.work import Item, R, Work, load
from edsr_int8.cluster.worker import Bringer, refusal, run_batch
from edsr_int8.errors import InputError
from edsr_int8.progress import Progress, tell

AHEAD = 2  # batches for each worker on their way: one is computed, the next is there already
LOOK_EVERY_S = 1.0  # at the workers there are
TELL_AFTER_S = 10.0  # of waiting for workers
# For one batch's results to arrive; then they are asked for again, with twice the time. Dask itself would try
# for half a minute to reach a worker that died with them, though the task runs elsewhere long since.
GATHER_S = 2.0
BRING_TRIES = 5
GONE = (OSError, CancelledError, ClosedClientError)  # what Dask raises where there is no scheduler


@dataclass(frozen=True)
class Dask:
    """The cluster of the scheduler at `address`, whatever its workers are and whenever they join."""

    address: str
    patience_s: float = 3600  # that no worker is there

    def map(self, work: Work[R], items: Sequence[Item], desc: str, *, done: int = 0) -> Iterator[R]:
        """As `Executor.map`.

        InputError: no scheduler at the address, no worker for a long time, workers that are not like this
        machine, an image that kills every worker which takes it.
        """
        if not items:
            return
        with (
            dask.config.set({"distributed.admin.large-graph-warning-threshold": "1GB"}),
            self._connected() as client,
            Progress(desc, total=done + len(items), done=done) as progress,
        ):
            run = _Map(client, work, progress, self)
            try:
                yield from run.results(items)
            finally:
                run.clean()

    @contextlib.contextmanager
    def _connected(self) -> Iterator[Client]:
        try:
            client = Client(self.address, set_as_default=False)
        except (OSError, ValueError) as error:
            raise InputError(
                f"DASK_SCHEDULER_ADDRESS: no scheduler answers at {self.address} "
                f"({' '.join(str(error).split())}); start it, or unset the variable to run here"
            ) from None
        client.loop.asyncio_loop.set_exception_handler(_tell_unless_harmless)  # type: ignore[union-attr]
        try:
            yield client
        finally:
            client.close()


class _Map(Generic[R]):
    """The state of one map: which batches are on their way, and which workers take them."""

    def __init__(self, client: Client, work: Work[R], progress: Progress, cluster: Dask) -> None:
        self._client = client
        self._cluster = cluster
        self._work = work
        self._progress = progress
        self._name = f"edsr-int8-{uuid.uuid4().hex[:12]}"
        self._running: dict[Any, tuple[Future, list[Item]]] = {}  # by the task's key
        self._finished: SimpleQueue[Future] = SimpleQueue()
        self._admitted: set[str] = set()  # addresses of workers
        self._refused: dict[str, str] = {}  # address -> why
        self._asked: Counter[Any] = Counter()  # key -> how often its results did not arrive
        self._looked = 0.0
        self._alone_since = time.monotonic()

    def results(self, items: Sequence[Item]) -> Iterator[R]:
        suspects: list[Item] = []
        self._bring()
        self._wait_for_workers()
        waiting = batches(items)
        while True:
            while len(self._running) < AHEAD * max(1, len(self._admitted)) and (batch := next(waiting, None)):
                self._submit(batch)
            if not self._running:
                break
            batch, results = self._next()
            if results is None:
                suspects += batch
            else:
                self._progress.advance(len(batch))
                yield from results
        # A worker that dies takes all batches down that were on their way to it. Which image it was shows
        # when each is alone in the cluster.
        for item in suspects:
            self._submit([item])
            _, results = self._next()
            if results is None:
                raise InputError(
                    f"{item.paths[0]}: every worker that took this image died, most likely for its memory; "
                    "start workers with more (--memory-limit), or lower the target's memory_budget_mb"
                )
            self._progress.advance(1)
            yield from results

    def _bring(self) -> None:
        """Bring the work to every worker. Dask gives up where one dies meanwhile, so it is asked again."""
        plugin = Bringer(self._name, self._work, self._work.facts())
        for again in range(BRING_TRIES):
            try:
                self._client.register_plugin(plugin, name=self._name)
                return
            except GONE as error:
                if again + 1 == BRING_TRIES or self._client.status != "running":
                    raise _gone(error) from None
                time.sleep(LOOK_EVERY_S)
            except Exception as error:  # what a worker raised that cannot read the plugin
                raise InputError(
                    f"a worker cannot load edsr-int8 ({type(error).__name__}: {error}); install this commit, "
                    "with its extra cluster, where the scheduler and the workers run"
                ) from None

    def _submit(self, batch: list[Item]) -> None:
        contents = pickle.dumps([load(item) for item in batch])
        with self._talking():
            future = self._client.submit(
                run_batch, self._name, contents, key=f"{self._name}-{uuid.uuid4().hex}",
                resources={self._name: 1}, pure=False,
            )  # fmt: skip
        self._running[future.key] = future, batch
        future.add_done_callback(self._finished.put)

    def _next(self) -> tuple[list[Item], list[R] | None]:
        """A batch that is finished and its results, which Dask then forgets; None where it killed workers."""
        while True:
            self._look()
            try:
                future = self._finished.get(timeout=LOOK_EVERY_S)
            except Empty:
                continue
            if future.key not in self._running:  # cancelled
                continue
            batch = self._running[future.key][1]
            patience_s = GATHER_S * 2 ** self._asked[future.key]
            try:
                outcome = pickle.loads(future.result(timeout=patience_s))
            except KilledWorker:
                outcome = None
            except TimeoutError:
                self._asked[future.key] += 1
                self._finished.put(future)
                continue
            except GONE as error:
                raise _gone(error) from None
            del self._running[future.key]
            future.release()
            if isinstance(outcome, Exception):
                raise outcome
            return batch, outcome

    def _wait_for_workers(self) -> None:
        while True:
            self._look()
            if self._admitted:
                return
            time.sleep(LOOK_EVERY_S / 4)

    def _look(self) -> None:
        """At most once a second: which workers are there, and which of them are admitted."""
        now = time.monotonic()
        if now - self._looked < LOOK_EVERY_S and self._admitted:
            return
        with self._talking():
            # Not scheduler_info: it returns a cache, which the client itself empties of workers now and then.
            if self._client.scheduler is None:
                raise ClosedClientError("the client is closed")
            found = self._client.sync(self._client.scheduler.identity, n_workers=-1)
            workers = found["workers"]
        before = self._admitted
        self._admitted = {a for a, worker in workers.items() if worker["resources"].get(self._name)}
        self._tell_of_refused(workers)
        self._progress.workers = len(self._admitted)
        if self._admitted:
            if self._running and self._admitted.isdisjoint(before):
                self._submit_again()
            self._alone_since = now
        else:
            self._check_patience(workers, now)
        self._looked = now

    def _tell_of_refused(self, workers: dict[str, Any]) -> None:
        unknown = [a for a in workers if a not in self._admitted and a not in self._refused]
        if not unknown:
            return
        with self._talking():
            found = self._client.run(refusal, self._name, workers=unknown, on_error="ignore")
        for address, why in found.items():
            if why:
                self._refused[address] = f"worker {address} ({workers[address]['name']}) is refused: {why}"
                tell(self._refused[address])

    def _check_patience(self, workers: dict[str, Any], now: float) -> None:
        """Without a worker. InputError: all that are there are refused, or none has come for a long time."""
        if workers and workers.keys() <= self._refused.keys():
            first = next(self._refused[address] for address in workers)
            raise InputError(
                f"{first}; results would not be those of this machine. Start workers that are like it"
            )
        waited = now - self._alone_since
        if waited > self._cluster.patience_s:
            raise InputError(
                f"no worker has been there for {waited / 60:.0f} minutes; start workers and run again: what "
                "is finished is kept"
            )
        if waited > TELL_AFTER_S > now - LOOK_EVERY_S - self._alone_since:
            tell(f"waiting for workers at {self._cluster.address}")

    def _submit_again(self) -> None:
        """Dask looks for a worker when one joins: too early, for this one is admitted a moment later."""
        lost = list(self._running.values())
        self._running.clear()
        with self._talking():
            self._client.cancel([future for future, _ in lost], force=True)
        for _, batch in lost:
            self._submit(batch)

    def clean(self) -> None:
        """Leave nothing on the cluster. A cluster that is gone needs no cleaning."""
        with contextlib.suppress(Exception):  # whatever a client raises whose scheduler is gone
            self._client.cancel([future for future, _ in self._running.values()], force=True)
            self._client.unregister_worker_plugin(self._name)

    @contextlib.contextmanager
    def _talking(self) -> Iterator[None]:
        try:
            yield
        except GONE as error:
            raise _gone(error) from None


def _tell_unless_harmless(loop: AbstractEventLoop, context: dict[str, Any]) -> None:
    """Dask forgets a task of its own where results did not arrive: nothing that a user should read about."""
    if type(context.get("exception")).__name__ != "AllExit":
        loop.default_exception_handler(context)


def _gone(error: BaseException) -> InputError:
    why = " ".join(str(error).split()) or type(error).__name__
    return InputError(f"the scheduler is gone ({why}); start it and run again: what is finished is kept")
