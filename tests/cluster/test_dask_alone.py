"""Clusters that lose all that they have: workers, or the scheduler."""

import os
import signal
from pathlib import Path

import pytest

pytest.importorskip("distributed")

import dask.config
from cluster_work import Echo, write_items
from distributed import Client, LocalCluster

from edsr_int8.cluster import batches
from edsr_int8.cluster.dask import Dask
from edsr_int8.errors import InputError

pytestmark = pytest.mark.slow

QUIET = {"dashboard_address": ":0", "silence_logs": 50}
CONTENTS = {str(i): bytes([i]) for i in range(8)}


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "MOST_ITEMS", 2)


def test_a_lone_worker_that_is_killed_is_waited_for(tmp_path: Path) -> None:
    """Dask offers a new worker what waits before this one is admitted, and not again."""
    with LocalCluster(n_workers=1, threads_per_worker=1, **QUIET) as cluster, Client(cluster) as client:
        found = {}
        work, items = Echo(sleep_s=0.02), write_items(tmp_path, CONTENTS)
        for name, data, _ in Dask(cluster.scheduler_address).map(work, items, "echo"):
            if not found:
                os.kill(next(iter(client.run(os.getpid).values())), signal.SIGKILL)
            found[name] = data
        assert found == CONTENTS


def test_a_scheduler_that_ends_is_one_line(tmp_path: Path) -> None:
    with dask.config.set({"distributed.comm.timeouts.connect": "200ms"}):
        cluster = LocalCluster(n_workers=1, processes=False, **QUIET)
        work, items = Echo(sleep_s=0.02), write_items(tmp_path, CONTENTS)
        results = Dask(cluster.scheduler_address).map(work, items, "echo")
        next(results)
        cluster.close()
        with pytest.raises(
            InputError, match=r"^the scheduler is gone .*: what is finished is kept$"
        ) as error:
            list(results)
        assert "\n" not in str(error.value)


def test_a_cluster_without_workers_is_waited_for_no_longer_than_patience(tmp_path: Path) -> None:
    with (
        LocalCluster(n_workers=0, processes=False, **QUIET) as cluster,
        pytest.raises(InputError, match=r"^no worker has been there for 0 minutes; start workers"),
    ):
        dask = Dask(cluster.scheduler_address, patience_s=0.3)
        list(dask.map(Echo(), write_items(tmp_path, CONTENTS), "echo"))
