"""Files and folders that appear whole or not at all, also where a process is killed in between."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from edsr_int8.errors import InputError
from edsr_int8.files import atomic, atomic_folder, require_plain, sha256

REPLACE_BY_NEW = """
import os, signal, sys
from pathlib import Path
from edsr_int8 import files

def rename(source, target, renames=[], system=os.rename):
    renames.append(source)
    if len(renames) == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)
    system(source, target)

os.rename = rename
with files.atomic_folder(Path(sys.argv[1])) as folder:
    (folder / "new").touch()
"""


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def replace_and_be_killed(path: Path, *, before_rename: int) -> None:
    """Replace the folder `path` in another process, which is killed before its first or second rename."""
    command = [sys.executable, "-c", REPLACE_BY_NEW, str(path), str(before_rename)]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL


def ended_process() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "[out]"  # a name that a pattern would take for something else
    path.mkdir()
    (path / "old").touch()
    return path


def test_a_folder_is_replaced_and_nothing_stays_beside_it(folder: Path) -> None:
    with atomic_folder(folder) as new:
        (new / "new").touch()
        assert names(folder) == {"old"}
    assert names(folder) == {"new"}
    assert names(folder.parent) == {folder.name}


def test_a_block_that_fails_leaves_the_old_folder(folder: Path) -> None:
    with pytest.raises(OSError), atomic_folder(folder) as new:
        (new / "half").touch()
        raise OSError
    assert names(folder) == {"old"}
    assert names(folder.parent) == {folder.name}


def test_a_second_rename_that_fails_brings_the_old_folder_back(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = os.rename

    def rename(source: Path, target: Path) -> None:
        if source.name.endswith(".part"):
            raise OSError
        system(source, target)

    monkeypatch.setattr(os, "rename", rename)
    with pytest.raises(OSError), atomic_folder(folder):
        pass
    assert names(folder) == {"old"}
    assert names(folder.parent) == {folder.name}


def test_killed_before_its_renames_it_leaves_the_old_folder(folder: Path) -> None:
    replace_and_be_killed(folder, before_rename=1)
    assert names(folder) == {"old"}


def test_killed_between_its_renames_the_next_call_brings_the_old_folder_back(folder: Path) -> None:
    replace_and_be_killed(folder, before_rename=2)
    assert not folder.exists()
    with atomic_folder(folder):
        assert names(folder) == {"old"}
    assert names(folder.parent) == {folder.name}


def test_leftovers_of_killed_processes_go_and_those_of_living_ones_stay(folder: Path) -> None:
    ended, living = (folder.with_name(f".{folder.name}.{n}.part") for n in (ended_process(), os.getppid()))
    ended.mkdir()
    living.mkdir()
    with atomic_folder(folder):
        pass
    assert names(folder.parent) == {folder.name, living.name}


def test_a_file_is_replaced_or_stays_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(OSError), atomic(path) as temporary:
        temporary.write_text("half")
        raise OSError
    assert path.read_text() == "old"
    with atomic(path) as temporary:
        temporary.write_text("new")
    assert path.read_text() == "new"
    assert names(tmp_path) == {"a.txt"}


def test_devices_and_pipes_are_no_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (Path("/dev/zero"), tmp_path / "pipe"):
        with pytest.raises(InputError, match="is a device or a pipe; give a file"):
            require_plain(path)
    for path in (tmp_path, tmp_path / "nothing"):
        require_plain(path)


def test_a_file_that_cannot_be_read_to_its_end_is_named() -> None:
    with pytest.raises(OSError) as failed:
        sha256(Path("/proc/self/mem"))  # opens, and then cannot be read
    assert failed.value.filename == "/proc/self/mem" and failed.value.errno
