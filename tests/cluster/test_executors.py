"""In this process and in threads: the same results, what is raised, and how much is read ahead."""

from pathlib import Path

import pytest
from cluster_work import WRONG, Echo, write_items

from edsr_int8.cluster import in_process, threads
from edsr_int8.cluster.in_process import InProcess
from edsr_int8.cluster.threads import Threads
from edsr_int8.cluster.work import Executor, load
from edsr_int8.errors import InputError

EXECUTORS = [InProcess(), Threads(1), Threads(3)]
CONTENTS = {f"{i:03}": f"contents {i}".encode() for i in range(70)}


@pytest.mark.parametrize("executor", EXECUTORS, ids=repr)
def test_every_item_has_its_result(executor: Executor, tmp_path: Path) -> None:
    results = executor.map(Echo(), write_items(tmp_path, CONTENTS), "echo")
    assert {name: data for name, data, _ in results} == CONTENTS


@pytest.mark.parametrize("executor", EXECUTORS, ids=repr)
def test_what_the_work_raises_is_raised(executor: Executor, tmp_path: Path) -> None:
    items = write_items(tmp_path, CONTENTS | {"050": WRONG})
    with pytest.raises(InputError, match=r"050: is wrong$"):
        list(executor.map(Echo(), items, "echo"))


@pytest.mark.parametrize("executor", EXECUTORS, ids=repr)
def test_no_items_no_results(executor: Executor) -> None:
    assert list(executor.map(Echo(), [], "echo")) == []


@pytest.mark.parametrize(("executor", "most"), [(InProcess(), 1), (Threads(2), 2 * 2 * 16)], ids=repr)
def test_no_more_is_read_than_is_on_its_way(
    executor: Executor, most: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = []
    for module in (in_process, threads):
        monkeypatch.setattr(module, "load", lambda item: read.append(item) or load(item))
    items = write_items(tmp_path, {str(i): b"" for i in range(200)})
    results = executor.map(Echo(), items, "echo")
    next(results)
    assert len(read) <= most
    results.close()
