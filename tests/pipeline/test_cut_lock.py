"""A dvc.lock that a kill cut exactly between two lines: DVC and `recover` take it for whole.

It names fewer stages, or fewer files of one. DVC's run cache makes that harmless: what is not named is
brought back, not run, and the lock is whole again.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import dvc.cli
import pytest
from stub_project import expected, found, make_stub

from edsr_int8.pipeline.recovery import is_whole_lock, recover

pytestmark = pytest.mark.slow

LOCK = Path("pipeline/make/dvc.lock")
SHARES = (0.1, 0.3, 0.45, 0.6, 0.75, 0.95)  # of the lines that could be the last ones


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("cut") / "one"
    make_stub(path)
    return path


@pytest.fixture(autouse=True)
def here(root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(root)
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(root.parent / "site"))
    monkeypatch.setenv("DVC_NO_ANALYTICS", "1")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.delenv("DVC_STAGE", raising=False)
    yield


def repro(caplog: pytest.LogCaptureFixture) -> list[str]:
    """The stages that ran."""
    caplog.clear()
    assert dvc.cli.main(["repro"]) == 0
    return re.findall(r"Running stage '(?:.*:)?(.*)'", "\n".join(caplog.messages))


def what_counts(lock: bytes) -> list[bytes]:
    """Its lines, but those that DVC decides nothing by and does not miss: bytes and numbers of files."""
    return [line for line in lock.splitlines() if not line.lstrip().startswith((b"size: ", b"nfiles: "))]


def test_the_next_run_runs_nothing_and_the_lock_is_whole_again(caplog: pytest.LogCaptureFixture) -> None:
    repro(caplog)
    whole = LOCK.read_bytes()
    ends = [match.end() for match in re.finditer(b"\n", whole)][:-1]
    unnoticed = [end for end in ends if is_whole_lock(whole[:end])]
    assert len(unnoticed) > len(ends) / 3  # the case is common
    for share in SHARES:
        LOCK.write_bytes(whole[: unnoticed[int(share * len(unnoticed))]])
        assert recover(Path()) == []
        assert repro(caplog) == ["probe"]
        assert what_counts(LOCK.read_bytes()) == what_counts(whole) and found(Path()) == expected(0)
