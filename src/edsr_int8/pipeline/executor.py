"""Where stages run what they do image by image: in this process, in threads of it, or on a cluster.

An environment variable says so and no setting: results are the same bytes, so nothing may run again for it.
"""

import os

from edsr_int8.cluster.in_process import InProcess
from edsr_int8.cluster.work import Executor
from edsr_int8.errors import InputError

CLUSTER = "DASK_SCHEDULER_ADDRESS"  # which Dask itself reads, too
THREADS = "EDSR_INT8_THREADS"  # how many
MOST_THREADS = 1024


def executor() -> Executor:
    """InputError: both variables are set, THREADS is no number, or Dask is asked for and not installed."""
    address, threads = os.environ.get(CLUSTER, ""), os.environ.get(THREADS, "")
    if address and threads:
        raise InputError(f"{CLUSTER} and {THREADS}: both are set; unset one")
    if address:
        return _dask(address)
    return _threads(threads) if threads else InProcess()


def _dask(address: str) -> Executor:
    try:
        from edsr_int8.cluster.dask import Dask  # half a second, which others need not wait for
    except ImportError:
        raise InputError(
            f"{CLUSTER}: asks for a cluster, and Dask is not installed; pip install 'edsr-int8[cluster]'"
        ) from None
    return Dask(address)


def _threads(text: str) -> Executor:
    from edsr_int8.cluster.threads import Threads

    if not text.isdecimal() or not 1 <= int(text) <= MOST_THREADS:
        raise InputError(f"{THREADS}: is {text!r}; give a number of threads from 1 to {MOST_THREADS}")
    return Threads(int(text))
