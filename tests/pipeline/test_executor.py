"""Which variable selects which executor."""

import sys

import pytest

from edsr_int8.cluster.in_process import InProcess
from edsr_int8.cluster.threads import Threads
from edsr_int8.errors import InputError
from edsr_int8.pipeline.executor import CLUSTER, THREADS, executor


@pytest.fixture(autouse=True)
def unset(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (CLUSTER, THREADS):
        monkeypatch.delenv(name, raising=False)


def test_without_variables_everything_runs_here() -> None:
    assert executor() == InProcess()


def test_a_number_selects_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(THREADS, "4")
    assert executor() == Threads(4)


@pytest.mark.parametrize("text", ["0", "two", "-1", "5000"])
def test_another_value_is_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv(THREADS, text)
    with pytest.raises(InputError, match=f"^{THREADS}: is '{text}'; give a number"):
        executor()


def test_an_address_selects_a_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CLUSTER, "tcp://10.0.0.1:8786")
    dask = pytest.importorskip("edsr_int8.cluster.dask")
    assert executor() == dask.Dask("tcp://10.0.0.1:8786")


def test_a_cluster_without_dask_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CLUSTER, "tcp://10.0.0.1:8786")
    monkeypatch.setitem(sys.modules, "distributed", None)
    monkeypatch.delitem(sys.modules, "edsr_int8.cluster.dask", raising=False)
    with pytest.raises(InputError, match=r"pip install 'edsr-int8\[cluster\]'"):
        executor()


def test_two_answers_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CLUSTER, "tcp://10.0.0.1:8786")
    monkeypatch.setenv(THREADS, "4")
    with pytest.raises(InputError, match="both are set"):
        executor()
