"""The sample by every executor, against the files that `dvc repro` made: not a byte may differ.

    make repro && python benchmarks/executors.py [--build build] [--ways process,threads,dask,killed]

Runs `observe`, `coverage`, `infer`, `evaluate` and `report` again in a copy: in one
process, in threads, on a Dask LocalCluster of 2 processes, and on one where in each of these stages a worker
is killed (SIGKILL) while it works and another one joins late. Compared are images, histograms, scores and the
table.
"""

import argparse
import contextlib
import hashlib
import importlib
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path

from edsr_int8.cluster import batches
from edsr_int8.machine import machine
from edsr_int8.pipeline import layout, params
from edsr_int8.pipeline.executor import CLUSTER, THREADS
from edsr_int8.pipeline.rows import Params

ROOT = Path(__file__).resolve().parents[1]
MADE_AGAIN = ("histograms", "coverage", "comparison", "scores")  # and the images of every build
Around = Callable[[str], contextlib.AbstractContextManager[None]]


def copy(build: Path, folder: Path, rows: Params) -> None:
    """What the stages read, without what they write."""
    for name in ("params.yaml", "presets"):
        source = ROOT / name
        (shutil.copytree if source.is_dir() else shutil.copyfile)(source, folder / name)
    shutil.copytree(build, folder / "build", ignore=shutil.ignore_patterns(*MADE_AGAIN, "partial"))
    for model, precision, target in product(rows.models, rows.precisions, rows.targets):
        shutil.rmtree(folder / layout.outputs(model, precision, target))


def stages(rows: Params) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Each stage that loops over images, and its arguments, in the order of the pipeline."""
    yield from (("observe", (model,)) for model in rows.models)
    yield from (("coverage", (model,)) for model in rows.models)
    yield from (("infer", build) for build in product(rows.models, rows.precisions, rows.targets))
    yield from (("evaluate", build) for build in product(rows.models, rows.precisions))
    yield "report", ()


def digests(folder: Path) -> dict[str, str]:
    """File -> hash, of all that must be the same."""
    made = [
        *folder.glob("build/histograms/*"),
        *folder.glob("build/coverage/*"),
        folder / "results/table.csv",
    ]
    made += [*folder.glob("build/scores/**/*"), *folder.glob("build/comparison/**/*.json")]
    made += [
        path
        for status in folder.glob("build/*/*/*/status.json")
        for path in status.parent.rglob("*")
        if path.suffix in (".png", ".json")
    ]
    files = {path for path in made if path.is_file()}
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files
    }


def run_all(folder: Path, rows: Params, around: Around) -> None:
    with contextlib.chdir(folder):
        for name, arguments in stages(rows):
            with around(name):
                getattr(importlib.import_module(f"stages.{name}"), name)(rows, *arguments)


@contextlib.contextmanager
def killing(cluster: object, stage: str, killed: dict[str, int]) -> Iterator[None]:
    """While the block runs, a worker that has a task is killed, and another one joins."""
    from distributed import Client

    over = threading.Event()

    def kill() -> None:
        with Client(cluster, set_as_default=False) as client:
            processes = client.run(os.getpid)
            while not over.is_set():
                busy = [address for address, tasks in client.processing().items() if tasks]
                known = [processes[address] for address in busy if address in processes]
                if known:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(known[0], signal.SIGKILL)
                        killed[stage] = killed.get(stage, 0) + 1
                    cluster.scale(3)
                    break
                time.sleep(0.005)

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        cluster.scale(2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=Path, default=ROOT / "build", help="of a finished dvc repro")
    parser.add_argument("--ways", default="process,threads,dask,killed")
    given = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    rows = params.load(ROOT / "params.yaml")
    batches.MOST_ITEMS = 1  # the sample has few images, and every worker should get some
    wanted = digests(given.build.resolve().parent)
    print(machine(), flush=True)
    for way in given.ways.split(","):
        killed: dict[str, int] = {}
        with tempfile.TemporaryDirectory() as name, environment(way, killed) as around:
            folder = Path(name)
            copy(given.build, folder, rows)
            start = time.perf_counter()
            run_all(folder, rows, around)
            found = digests(folder)
        unlike = sorted(path for path in wanted.keys() | found.keys() if wanted.get(path) != found.get(path))
        print(f"{way:8s} {time.perf_counter() - start:6.1f} s  {len(found)} files, {len(unlike)} differ")
        for path in unlike[:10]:
            print(f"    {path}")
        if killed:
            print("    killed:", ", ".join(f"{count} workers in {stage}" for stage, count in killed.items()))
        sys.stdout.flush()


@contextlib.contextmanager
def environment(way: str, killed: dict[str, int]) -> Iterator[Around]:
    """What stages see when they run one way; gives what is wrapped around each."""
    for name in (CLUSTER, THREADS):
        os.environ.pop(name, None)
    if way in ("process", "threads"):
        if way == "threads":
            os.environ[THREADS] = "2"
        yield lambda _: contextlib.nullcontext()
        return
    import dask.config
    from distributed import LocalCluster

    settings = {"distributed.scheduler.allowed-failures": 1}
    with dask.config.set(settings), LocalCluster(
        n_workers=2, threads_per_worker=1, memory_limit="6GiB", dashboard_address=":0", silence_logs=50
    ) as cluster:  # fmt: skip
        os.environ[CLUSTER] = cluster.scheduler_address
        calm = way == "dask"
        yield lambda stage: contextlib.nullcontext() if calm else killing(cluster, stage, killed)


if __name__ == "__main__":
    main()
