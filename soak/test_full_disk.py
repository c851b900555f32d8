"""A full disk, under a stage's output or DVC's cache: the file is named, and with room the run goes on.

Needs root on Linux, for disks of a few pages.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from stub_project import expected, found, make_stub

from edsr_int8.pipeline.recovery import recover
from edsr_int8.pipeline.verify import verify

Disk = Callable[[Path, str], None]  # mounts one of a size at a folder


@pytest.fixture
def disk() -> Iterator[Disk]:
    mounted: list[Path] = []

    def mount(folder: Path, size: str) -> None:
        folder.mkdir(exist_ok=True)
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
        if subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip("needs the right to mount a small disk")
        mounted.append(folder)

    yield mount
    for folder in mounted:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    make_stub(tmp_path / "one")
    monkeypatch.chdir(tmp_path / "one")
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "site"))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    return tmp_path / "one"


def repro() -> tuple[int, str]:
    done = subprocess.run([sys.executable, "-m", "dvc", "repro"], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def make_room_and_go_on(root: Path, folder: Path) -> None:
    subprocess.run(["mount", "-o", "remount,size=10m", str(folder)], check=True)
    recover(root)
    status, said = repro()
    assert status == 0, said
    assert found(root) == expected(0) and list(verify(root)) == []


def test_under_the_output_of_a_stage(root: Path, disk: Disk) -> None:
    disk(root / "build", "64k")
    status, said = repro()
    assert (
        status and "build/made/" in said and "the disk is full (0 MB free); make room and run again" in said
    )
    assert not list((root / "build").rglob("*.part*"))
    make_room_and_go_on(root, root / "build")


def test_under_the_cache_of_dvc(root: Path, disk: Disk) -> None:
    disk(root / ".dvc" / "cache", "64k")
    status, said = repro()
    assert status and "No space left on device" in said and ".dvc/cache" in said
    make_room_and_go_on(root, root / ".dvc" / "cache")
