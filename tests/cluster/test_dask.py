"""A cluster of processes on this machine: workers that die, join late, or are not like this one."""

import os
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("distributed")

import cv2
import dask.config
import numpy as np
from cluster_work import FAKED, POISON, WRONG, Echo, opened, write_items
from distributed import Client, LocalCluster, Nanny
from distributed.comm import CommClosedError
from tiny_build import photograph, write_tiny

from edsr_int8.cluster import batches
from edsr_int8.cluster.dask import AHEAD, Dask
from edsr_int8.cluster.in_process import InProcess
from edsr_int8.cluster.work import Executor, Item
from edsr_int8.data.images import write_png
from edsr_int8.errors import InputError
from edsr_int8.metrics.conformance import compare
from edsr_int8.metrics.evaluate import Folders, evaluate
from edsr_int8.metrics.protocols import PROTOCOLS
from edsr_int8.quantization.analysis.coverage import middle
from edsr_int8.quantization.calibration.observe import observe_network
from edsr_int8.quantization.ir.layers import IMAGE, Conv, Network
from edsr_int8.targets.base import open_target
from edsr_int8.targets.execution.infer import infer
from edsr_int8.targets.row import TargetRow

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    """Two workers with one thread each. A batch is given up after the first worker that dies with it."""
    settings = {"distributed.scheduler.allowed-failures": 0, "distributed.admin.tick.limit": "1h"}
    with (
        dask.config.set(settings),
        LocalCluster(
            n_workers=2, threads_per_worker=1, memory_limit="2GiB", dashboard_address=":0", silence_logs=50
        ) as made,
    ):
        yield made


@pytest.fixture
def client(cluster: LocalCluster) -> Iterator[Client]:
    with Client(cluster, set_as_default=False) as client:
        client.wait_for_workers(2)
        yield client


@pytest.fixture
def executor(cluster: LocalCluster, monkeypatch: pytest.MonkeyPatch) -> Dask:
    monkeypatch.setattr(batches, "MOST_ITEMS", 2)
    return Dask(cluster.scheduler_address, patience_s=30)


@dataclass(frozen=True)
class Disturbed:
    """When the first result is there, a worker is killed and another one joins."""

    executor: Dask
    client: Client
    cluster: LocalCluster

    def map(self, work: Any, items: Sequence[Item], desc: str, *, done: int = 0) -> Iterator[Any]:
        for number, result in enumerate(self.executor.map(work, items, desc, done=done)):
            if not number:
                os.kill(next(iter(self.client.run(os.getpid).values())), signal.SIGKILL)
                self.cluster.scale(3)
            yield result


def test_results_come_from_both_workers_and_nothing_is_left(
    executor: Dask, client: Client, tmp_path: Path
) -> None:
    contents = {str(i): bytes([i]) for i in range(30)}
    results, waiting, before = [], [], client.run(opened)
    for result in executor.map(Echo(sleep_s=0.02), write_items(tmp_path, contents), "echo"):
        results.append(result)
        waiting.append(client.run_on_scheduler(lambda dask_scheduler: len(dask_scheduler.tasks)))
    assert {name: data for name, data, _ in results} == contents
    assert {process for *_, process in results} == set(client.run(os.getpid).values())
    assert max(waiting) <= 2 * AHEAD  # of 15 batches; and each worker takes one core, as it was started with
    assert set(client.run(cv2.getNumThreads).values()) == {1}
    for worker, threads in client.run(opened).items():  # a session is loaded once, for all batches
        assert threads[len(before[worker]) :] == [1]
    left = client.run_on_scheduler(lambda dask_scheduler: len(dask_scheduler.tasks))
    assert left == 0
    assert not any(client.run(lambda dask_worker: [n for n in dask_worker.plugins if "edsr" in n]).values())
    assert not any(client.run(lambda: "dvc" in __import__("sys").modules).values())


def test_a_worker_that_dies_while_the_work_is_brought_is_no_failure(
    executor: Dask, client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    register, calls = Client.register_plugin, []

    def fail_once(self: Client, *arguments: Any, **named: Any) -> Any:
        calls.append(arguments)
        if len(calls) == 1:
            raise CommClosedError("Stream is closed")
        return register(self, *arguments, **named)

    monkeypatch.setattr(Client, "register_plugin", fail_once)
    results = executor.map(Echo(), write_items(tmp_path, {"a": b"", "b": b""}), "echo")
    assert len(list(results)) == 2


def test_what_the_work_raises_is_raised(executor: Dask, tmp_path: Path) -> None:
    items = write_items(tmp_path, {"a": b"", "b": WRONG, "c": b""})
    with pytest.raises(InputError, match=r"b: is wrong$"):
        list(executor.map(Echo(), items, "echo"))


def test_an_image_that_kills_its_workers_is_named_and_no_other(
    executor: Dask, client: Client, tmp_path: Path
) -> None:
    items = write_items(tmp_path, {"a": b"", "b": POISON, "c": b"", "d": b""})
    found = []
    with pytest.raises(InputError, match=rf"^{tmp_path}/b: every worker that took this image died") as error:
        found.extend(name for name, *_ in _collected(executor.map(Echo(), items, "echo"), found))
    assert "\n" not in str(error.value)
    assert {"c", "d"} <= set(found)


def _collected(results: Iterator[Any], found: list[str]) -> Iterator[Any]:
    for result in results:
        found.append(result[0])
        yield result


def test_workers_unlike_this_machine_are_refused_by_name(
    executor: Dask, client: Client, cluster: LocalCluster, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    contents = {str(i): bytes([i]) for i in range(12)}
    items = write_items(tmp_path, contents)
    odd = client.sync(_start, cluster.scheduler_address, "odd")
    try:
        address = next(a for a, w in client.scheduler_info()["workers"].items() if w["name"] == "odd")
        process = client.run(os.getpid, workers=[address])[address]
        results = list(executor.map(Echo(sleep_s=0.02), items, "echo"))
        assert len(results) == 12 and process not in {process for *_, process in results}
        said = capsys.readouterr().err
        assert f"worker {address} (odd) is refused: onnxruntime is 1.0 there, 2.0 here" in said
    finally:
        client.sync(odd.close)
    monkeypatch.setattr(Echo, "facts", lambda self: {"onnxruntime": "3.0"})  # here, but not on the workers
    with pytest.raises(
        InputError, match=r"^worker tcp:.* is refused: onnxruntime is 2\.0 there, 3\.0 here; "
    ):
        list(executor.map(Echo(), items, "echo"))


def test_a_worker_that_joins_late_is_compared_as_well(
    executor: Dask, client: Client, cluster: LocalCluster, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    items = write_items(tmp_path, {str(i): b"" for i in range(60)})
    processes = set()
    late = None
    try:
        for *_, process in executor.map(Echo(sleep_s=0.05), items, "echo"):
            processes.add(process)
            late = late or client.sync(_start, cluster.scheduler_address, "late")
        assert "(late) is refused: onnxruntime is 1.0 there, 2.0 here" in capsys.readouterr().err
        assert client.run(os.getpid, workers=[late.worker_address])[late.worker_address] not in processes
    finally:
        client.sync(late.close)


async def _start(address: str, name: str) -> Nanny:
    return await Nanny(
        address, nthreads=1, name=name, env={FAKED: "1.0"}, silence_logs=50, dashboard_address=":0"
    )


def test_a_worker_with_too_little_memory_is_refused_with_what_it_needs(
    executor: Dask, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=r"memory limit of 2048 MiB .* 4000; .*--memory-limit 5320MiB"):
        list(executor.map(Echo(memory_mb=4000), write_items(tmp_path, {"a": b""}), "echo"))


def test_no_scheduler_is_one_line() -> None:
    with dask.config.set({"distributed.comm.timeouts.connect": "200ms"}), pytest.raises(
        InputError, match=r"^DASK_SCHEDULER_ADDRESS: no scheduler answers at tcp://127\.0\.0\.1:9 "
    ):  # fmt: skip
        list(Dask("tcp://127.0.0.1:9").map(Echo(), [Item("a", ())], "echo"))


def test_stages_give_the_same_bytes_while_workers_die_and_join(
    executor: Dask, client: Client, cluster: LocalCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # paths mean nothing to the workers, which started elsewhere
    tiny = write_tiny(Path("model.onnx"))
    for i in range(8):
        write_png(Path("set") / "lr" / f"{i}.png", photograph(20 + i, 24))
    disturbed = Disturbed(executor, client, cluster)
    assert _files(tiny.path, InProcess(), "here") == _files(tiny.path, disturbed, "there")


def _files(model: Path, executor: Executor, out: str) -> dict[str, Any]:
    """The images of a build, their scores, how far they are from those made here, a layer's histogram."""
    weight = np.random.default_rng(0).normal(size=(4, 3, 3, 3))
    network = Network((Conv("head", (IMAGE,), weight, np.zeros(4)),), {"receptive_radius": "1"})
    paths = sorted(Path("set/lr").iterdir())
    histogram = observe_network(network, ["head"], paths, tile=16, cut=middle, executor=executor)["head"]
    target = open_target(TargetRow("onnxruntime", threads=1, memory_budget_mb=1024))
    infer(target, model, {"in/set": Path("set")}, Path(out), partial=Path("partial"), executor=executor)
    images = {path.name: path.read_bytes() for path in sorted(Path(out, "in/set").iterdir())}
    folders = Folders(lr=Path("set/lr"), hr=Path("here/in/set"), outputs=Path(out, "in/set"))
    scores = evaluate(
        folders, protocols=[PROTOCOLS["basicsr"]], scale=2, partial=Path("scores", out), executor=executor
    )
    apart = compare(Path(out), Path("here"), executor=executor)
    assert len(images) == 8 and apart["in/set"].equal_share == 1
    assert histogram.counts.sum() > 0
    found = {"scores": scores, "counts": histogram.counts.tobytes(), "ends": (histogram.low, histogram.high)}
    return {**images, **found}
