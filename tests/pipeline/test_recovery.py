"""What a kill leaves where DVC rewrites a file in place: found, put right, and told in a line."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from edsr_int8.errors import InputError
from edsr_int8.pipeline import layout
from edsr_int8.pipeline.recovery import damaged, is_whole_lock, keep_locks, recover

STAGE = """\
  observe@m{}:
    cmd: python -m stages.observe m{}
    deps:
    - path: build/m{}/export/float.onnx
      hash: md5
      md5: 0123456789abcdef0123456789abcdef
      size: 12
    params:
      params.yaml:
        calibration.images: 50
    outs:
    - path: build/histograms/m{}.npz
      hash: md5
      md5: '01234567890123456789012345678901'
      size: 34
"""
LOCK = "schema: '2.0'\nstages:\n" + "".join(STAGE.replace("{}", str(i)) for i in range(4))
NOBODY = 2**22 + 1  # above Linux's highest process number


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository whose pipeline has two parts, each with its lock; the first is committed."""
    for folder in ("", "pipeline/infer/"):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        (tmp_path / f"{folder}dvc.yaml").write_text("stages: {}\n")
        (tmp_path / f"{folder}dvc.lock").write_text(LOCK)
    (tmp_path / ".dvc" / "tmp").mkdir(parents=True)
    (tmp_path / ".dvc" / "tmp" / "rwlock").write_text("{}")
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@example.org"]
    for command in (["init", "-q"], ["add", "dvc.lock"], ["commit", "-qm", "results"]):
        subprocess.run([*git, *command], cwd=tmp_path, check=True)
    return tmp_path


def test_where_all_is_well_nothing_is_done(root: Path) -> None:
    assert damaged(root) == [] and recover(root) == []
    assert recover(root / "pipeline") == []  # no .dvc, no git of its own


@pytest.mark.parametrize(
    "content", ["", '{"read": {"/a/b": [{"pid": 1', '{"read": {"/a/b": [{"pid": 1}]}}', "\0"]
)
@pytest.mark.parametrize("lock", [".dvc/tmp/rwlock", ".dvc/tmp/exps/rwlock"])
def test_an_unreadable_rwlock_goes(root: Path, content: str, lock: str) -> None:
    (root / lock).parent.mkdir(exist_ok=True)
    (root / lock).write_text(content)
    [line] = recover(root)
    assert line == f"{lock}: was cut short by a kill; removed, as no dvc is at work here"
    assert damaged(root) == []


def entry(process: int) -> dict[str, object]:
    return {"pid": process, "cmd": "/usr/bin/dvc repro"}


def test_entries_of_processes_whose_number_is_another_ones_go(root: Path) -> None:
    path = root / ".dvc" / "tmp" / "rwlock"
    path.write_text(json.dumps({"write": {"/a": entry(os.getpid())}, "read": {"/b": [entry(os.getpid())]}}))
    assert recover(root) == []  # this process was there when the file was written
    os.utime(path, (1e9, 1e9))  # and was not at that time
    assert recover(root) == [".dvc/tmp/rwlock: named processes that are gone; their entries are removed"]
    assert json.loads(path.read_text()) == {"write": {}, "read": {}}
    path.write_text(json.dumps({"write": {"/a": entry(NOBODY)}}))
    assert recover(root) == []  # DVC sees itself that no process has the number


# Where DVC's writer may be: before the first byte, in a word, in a hash, in a number, between two lines.
CUTS = [0, 3, LOCK.index("stages:") + 4, LOCK.index("size: 12") + 6, LOCK.index("0123456789abcdef") + 5]


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("path", ["dvc.lock", "pipeline/infer/dvc.lock"])
def test_a_lock_cut_short_comes_back_from_the_copy_that_the_run_kept(root: Path, path: str, cut: int) -> None:
    keep_locks(root)
    (root / path).write_text(LOCK[:cut])
    assert damaged(root) == [Path(path)]
    assert recover(root) == [
        f"{path}: was cut short by a kill; restored from the copy that the last run kept"
    ]
    assert (root / path).read_text() == LOCK and damaged(root) == []


def test_without_a_copy_it_comes_from_git_and_without_that_it_is_written_anew(root: Path) -> None:
    for path in ("dvc.lock", "pipeline/infer/dvc.lock"):
        (root / path).write_bytes(b"")
        (root / layout.kept_lock(Path(path))).parent.mkdir(parents=True, exist_ok=True)
        (root / layout.kept_lock(Path(path))).write_text(LOCK[:100])  # the copy was cut, too
    first, second = recover(root)
    assert first.startswith("dvc.lock: ") and first.endswith("restored from the last commit")
    assert second.startswith("pipeline/infer/dvc.lock: ") and "removed: the next run writes it" in second
    assert (root / "dvc.lock").read_text() == LOCK and not (root / "pipeline/infer/dvc.lock").exists()


def test_the_copy_is_renewed_only_where_the_lock_has_changed(root: Path) -> None:
    keep_locks(root)
    copy = root / layout.kept_lock(Path("dvc.lock"))
    first = copy.stat().st_ino
    keep_locks(root)
    assert copy.stat().st_ino == first
    (root / "dvc.lock").write_text(LOCK + STAGE.replace("{}", "9"))
    keep_locks(root)
    assert copy.read_text() == (root / "dvc.lock").read_text()


def test_wherever_it_is_cut_it_is_whole_by_dvcs_own_schema_or_found(root: Path) -> None:
    from dvc.schema import COMPILED_LOCKFILE_SCHEMA
    from dvc.utils.serialize import parse_yaml

    for cut in range(0, len(LOCK), 7):
        if is_whole_lock(LOCK[:cut].encode()):
            COMPILED_LOCKFILE_SCHEMA(parse_yaml(LOCK[:cut], "dvc.lock"))  # raises where DVC would


def test_what_git_could_not_merge_is_left_to_its_owner(root: Path) -> None:
    merged = LOCK.replace(
        "      size: 12\n", "<<<<<<< HEAD\n      size: 12\n=======\n      size: 13\n>>>>>>> b\n"
    )
    (root / "dvc.lock").write_text(merged)
    with pytest.raises(
        InputError, match=r"^dvc.lock: holds both sides of a merge; take one, git checkout --ours"
    ):
        recover(root)
    assert (root / "dvc.lock").read_text() == merged


def test_what_killed_processes_were_writing_is_deleted(root: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    mine, theirs = (root / f"build/m/.model.onnx.{n}.part.onnx" for n in (os.getpid(), ended.pid))
    of_dvc, whole = root / ".dvc/cache/files/md5/ab/.x4Kf.tmp", root / ".dvc/cache/files/md5/ab/cdef"
    for path in (mine, theirs, of_dvc, whole):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    [line] = recover(root)
    assert line == f"deleted 2 unfinished files that kills left: {theirs.name}, {of_dvc.name}"
    assert [path.exists() for path in (mine, theirs, of_dvc, whole)] == [True, False, False, True]


def test_while_a_dvc_is_at_work_nothing_is_touched(root: Path) -> None:
    (root / ".dvc" / "tmp" / "rwlock").write_text("")
    wait = ["dvc", "-c", "print('up', flush=True); input()"]
    other = subprocess.Popen(
        wait, executable=sys.executable, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert other.stdout
    other.stdout.readline()
    try:
        with pytest.raises(
            InputError, match=rf"rwlock: is cut short, and dvc .*\(process {other.pid}\) is at work"
        ):
            recover(root)
        assert (root / ".dvc" / "tmp" / "rwlock").read_text() == ""
    finally:
        other.send_signal(signal.SIGKILL)
        other.communicate()
    assert len(recover(root)) == 1
