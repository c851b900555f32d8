"""Killed experiments: the same command goes on without a human and ends in the same bytes.

In the workspace, in a copy of the repository (`--temp`), and off the queue. Between the kill and the next run
comes `recover`, as `edsr-int8 check` does it.
"""

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from stub_project import expected, found, make_stub

from edsr_int8.pipeline.recovery import damaged, recover

KILLS = 4  # in the workspace, and as many in a copy
DVC = [sys.executable, "-m", "dvc"]
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """After a first run, committed."""
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "site"))
    monkeypatch.setenv("DVC_NO_ANALYTICS", "1")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "a user")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "user@example.org")
    folder = tmp_path / "project"
    make_stub(folder)
    dvc(folder, "repro")
    for command in (["add", "-A"], ["commit", "-qm", "results"]):
        subprocess.run(["git", *command], cwd=folder, check=True)
    return folder


def dvc(root: Path, *arguments: str) -> str:
    done = subprocess.run([*DVC, *arguments], cwd=root, capture_output=True, text=True, check=False)
    assert not done.returncode, f"dvc {' '.join(arguments)}: {done.stdout[-500:]}{done.stderr[-1000:]}"
    return done.stdout


def put_right(root: Path) -> None:
    recover(root)
    assert damaged(root) == []


@pytest.mark.parametrize("place", [[], ["--temp"]], ids=["workspace", "copy"])
def test_a_killed_experiment_goes_on(root: Path, place: list[str]) -> None:
    pick, begun = random.Random(0), time.monotonic()
    dvc(root, "exp", "run", *place, "-S", "params.json:seed=100")
    run_s, struck = time.monotonic() - begun, 0
    for seed in range(1, 4 * KILLS):
        command = ["exp", "run", *place, "-S", f"params.json:seed={seed}"]
        process = subprocess.Popen(
            [*DVC, *command], cwd=root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip
        time.sleep(pick.uniform(0.2, 0.9) * run_s)
        struck += process.poll() is None
        with suppress(ProcessLookupError):
            os.killpg(process.pid, pick.choice(SIGNALS))
        process.wait()
        put_right(root)
        told = dvc(root, *command)
        if place:
            dvc(root, "exp", "apply", re.findall(r"Ran experiment\(s\): (\S+)", told)[0])
        assert found(root) == expected(seed)
        if struck == KILLS:
            return
    pytest.fail(f"{struck} of {KILLS} kills came in time")


def test_a_killed_queue_goes_on(root: Path) -> None:
    seeds = (101, 102, 103)
    queue(root, *seeds)
    wait_for(root, lambda tasks: "Running" in tasks.values())
    workers = [process for process in psutil.process_iter() if at_work_in(root, process)]
    assert workers
    for process in workers:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    put_right(root)
    stuck = [name for name, state in tasks(root).items() if state == "Running"]
    for name in stuck:
        dvc(root, "queue", "kill", name)
    queue(root, *seeds)  # those that ended before give the same again
    ended = wait_for(root, lambda tasks: not {"Running", "Queued"} & set(tasks.values()))
    assert list(ended.values()).count("Failed") == len(stuck)
    reached = set()
    for name in (name for name, state in ended.items() if state == "Success"):
        dvc(root, "exp", "apply", name)
        seed = json.loads((root / "params.json").read_text())["seed"]
        assert found(root) == expected(seed)
        reached.add(seed)
    assert reached == set(seeds)


def queue(root: Path, *seeds: int) -> None:
    """Queue an experiment of each seed, and start to work them off in the background."""
    dvc(root, "exp", "run", "--queue", "-f", "-S", f"params.json:seed={','.join(map(str, seeds))}")
    with open(os.devnull, "w") as nowhere:  # a pipe would wait for what works in the background
        subprocess.run([*DVC, "queue", "start"], cwd=root, stdout=nowhere, stderr=nowhere, check=True)


def tasks(root: Path) -> dict[str, str]:
    """Name -> state, of all that are and were in the queue."""
    lines = dvc(root, "queue", "status").splitlines()
    rows = [line.split() for line in lines if re.match(r"[0-9a-f]{7} ", line)]
    return {row[1]: row[-1] for row in rows}


def wait_for(root: Path, reached: Callable[[dict[str, str]], bool]) -> dict[str, str]:
    for _ in range(120):
        if reached(now := tasks(root)):
            return now
        time.sleep(1)
    return pytest.fail(f"{now}")


def at_work_in(root: Path, process: psutil.Process) -> bool:
    try:
        return Path(process.cwd()).is_relative_to(root)
    except psutil.Error:
        return False
