"""How a process ends that is told to, or whose parent is gone; and how it speaks of a disk that is full."""

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from edsr_int8.files import leftovers

# A process in the middle of a file and a folder, inside one long call that lets no Python handler run.
BUSY = """
import ctypes, sys
from pathlib import Path
from edsr_int8.ending import end_on_signals
from edsr_int8.files import atomic, atomic_folder, temporary_folder
end_on_signals(with_parent=len(sys.argv) > 2)
out = Path(sys.argv[1])
with temporary_folder() as elsewhere, atomic(out / "a.png") as file, atomic_folder(out / "b") as folder:
    for path in (file, folder / "half", elsewhere / "half"):
        path.touch()
    print(elsewhere, flush=True)
    libc = ctypes.CDLL(None)
    while True:
        libc.pause()  # a signal ends the call, and the next begins at once
"""
LIMIT = """
import resource, sys
from pathlib import Path
from edsr_int8.errors import InputError
from edsr_int8.files import atomic_folder, write_text
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    with atomic_folder(Path(sys.argv[1])) as folder:
        write_text(folder / "a.csv", "x" * 2000)
except InputError as error:
    print(error)
"""


def busy(out: Path, *arguments: str) -> tuple[subprocess.Popen[str], Path]:
    command = [sys.executable, "-c", BUSY, str(out), *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout
    return process, Path(process.stdout.readline().strip())


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_it_in_the_middle_of_a_call_and_nothing_is_left(
    tmp_path: Path, number: signal.Signals, status: int
) -> None:
    if signal.getsignal(number) is signal.SIG_IGN:
        pytest.skip(f"{number.name} is ignored here, as in a shell's background job")
    process, elsewhere = busy(tmp_path)
    assert elsewhere.is_dir() and len(list(tmp_path.iterdir())) == 2
    process.send_signal(number)
    assert process.wait(timeout=60) == status
    assert process.communicate() == ("", "")
    assert list(tmp_path.iterdir()) == [] and not elsewhere.exists()


def test_it_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    start = (
        f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {BUSY!r}, *sys.argv[1:]]); input()"
    )
    command = [sys.executable, "-c", start, str(tmp_path), "with parent"]
    parent = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert parent.stdout
    elsewhere = Path(parent.stdout.readline().strip())
    assert elsewhere.is_dir()
    parent.kill()
    parent.stdout.read()  # until the child has closed it, too
    assert list(tmp_path.iterdir()) == [] and not elsewhere.exists()


def test_what_a_killed_process_was_writing_is_found(tmp_path: Path) -> None:
    process, elsewhere = busy(tmp_path)
    assert list(leftovers(tmp_path)) == []
    process.kill()
    process.communicate()
    assert len(list(leftovers(tmp_path))) == 2
    shutil.rmtree(elsewhere)


def test_a_file_that_does_not_fit_is_named_as_it_would_have_been_called(tmp_path: Path) -> None:
    command = [sys.executable, "-c", LIMIT, str(tmp_path / "out")]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert said.startswith(f"{tmp_path}/out/a.csv: ") and said.endswith("make room and run again\n")
    assert list(tmp_path.iterdir()) == []


def test_a_process_that_is_done_ends_at_once_and_all_that_it_said_is_read() -> None:
    said = "import atexit, edsr_int8.ending as e; atexit.register(print, 'late'); print('done'); e.end_done()"
    ended = subprocess.run([sys.executable, "-c", said], capture_output=True, text=True)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "done\n", "")
