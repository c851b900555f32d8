"""Killed experiments: the same command goes on without a human and ends in the same bytes.

In the workspace, and in a copy of the repository (`--temp`). Between the kill and the next run comes
`recover`, as `edsr-int8 check` does it.
"""

import os
import random
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

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
