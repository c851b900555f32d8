"""What runs on a worker of a Dask cluster: a plugin that brings the work, and the task that uses it."""

import asyncio
import pickle
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from math import ceil
from threading import Lock
from typing import Any

import cv2
from distributed import Worker, WorkerPlugin, get_worker

from edsr_int8.cluster.facts import differences
from edsr_int8.cluster.work import Contents, Work
from edsr_int8.tiling import MIB

# Dask itself, a batch and its results, beside what the work takes.
OWN_MB = 256


class Bringer(WorkerPlugin):
    """Brings one map's work to a worker, and admits the worker to it.

    Dask sets the plugin up on every worker there is and on every one that joins later, before it gets a task.
    A worker that is admitted has one unit of a resource of the plugin's name, and every task asks for one. So
    no task reaches another worker, and each worker runs one task at a time, on all of its threads.
    """

    def __init__(self, name: str, work: Work[Any], facts: Mapping[str, Any]) -> None:
        """`facts`: of the machine that asks. The work travels pickled: only workers need to read it."""
        self.name = name
        self._payload = pickle.dumps(work)
        self._facts = facts
        self._lock = Lock()

    def __getstate__(self) -> tuple[Any, ...]:
        return self.name, self._payload, self._facts

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.name, self._payload, self._facts = state
        self.refusal = ""  # why the worker is not admitted
        self._lock = Lock()

    async def setup(self, worker: Worker) -> None:
        self._worker = worker
        self.refusal = await asyncio.to_thread(self._why_not)  # reading facts may import a runtime
        if not self.refusal:
            await worker.set_resources(**{self.name: 1})

    async def teardown(self, worker: Worker) -> None:
        await worker.set_resources(**{self.name: 0})

    def _why_not(self) -> str:
        try:
            unlike = differences(self._work.facts(), self._facts)
        except Exception as error:  # whatever a machine that is set up in another way gives
            return f"cannot say what it is ({type(error).__name__}: {error})"
        return "; ".join(unlike) or too_small(self._worker, self._work.memory_mb)

    @cached_property
    def _work(self) -> Work[Any]:
        return pickle.loads(self._payload)

    @cached_property
    def _run(self) -> Callable[[Iterable[Contents]], Iterator[Any]]:
        threads = self._worker.state.nthreads
        cv2.setNumThreads(threads)  # which would take all cores of the machine
        return self._work.open(threads)

    def run(self, batch: Iterable[Contents]) -> list[Any]:
        with self._lock:  # one session, one batch at a time
            return list(self._run(batch))


def refusal(name: str, dask_worker: Worker) -> str:
    """Why the worker is not admitted; '' where it is, or where nobody knows yet."""
    plugin = dask_worker.plugins.get(name)
    return plugin.refusal if isinstance(plugin, Bringer) else ""


def too_small(worker: Worker, memory_mb: int) -> str:
    """Why the worker's memory does not hold the work; '' where it does.

    Dask pauses a worker at 80 % of its limit and its nanny kills it at 95 %. As memory that a runtime took
    may never come back, a worker that reaches the first would stay paused.
    """
    limit = worker.memory_manager.memory_limit
    part = worker.memory_manager.memory_pause_fraction or 1.0
    needed = memory_mb + OWN_MB
    if not memory_mb or not limit or limit * part >= needed * MIB:
        return ""
    return (
        f"its memory limit of {limit / MIB:.0f} MiB does not hold memory_budget_mb: {memory_mb}; start it "
        f"with --memory-limit {ceil(needed / part)}MiB or more"
    )


def run_batch(name: str, batch: bytes) -> bytes:
    """The results of a pickled batch, or the exception that stopped it, pickled."""
    plugin = get_worker().plugins[name]
    assert isinstance(plugin, Bringer)
    try:
        return pickle.dumps(plugin.run(pickle.loads(batch)))
    except Exception as error:  # raised where the map was asked for
        return pickle.dumps(error)
