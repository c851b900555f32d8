"""What a kill leaves behind, found and put right before a run: DVC rewrites two kinds of file in place.

An rwlock and a dvc.lock are empty or cut short if DVC ends while it rewrites them, and every later `dvc`
command fails. The first holds nothing once its processes are gone. The second comes back from the copy
that every stage keeps when it starts (DVC waits then, so the file is whole), or from git. DVC's run cache has
what the copy lacks.
"""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edsr_int8.errors import InputError
from edsr_int8.files import atomic, leftovers, write_text
from edsr_int8.pipeline import layout

# Who reads and writes what: of runs in the workspace, and of experiments in a copy of the repository.
RWLOCKS = (Path(".dvc/tmp/rwlock"), Path(".dvc/tmp/exps/rwlock"))
CONFLICT = ("<<<<<<< ", ">>>>>>> ")  # how git marks what it could not merge


def recover(root: Path) -> list[str]:
    """Put right what can be; a line for each thing done. Quick, and nothing where all is well.

    InputError, naming file and way out: a `dvc` is at work in `root`, or git's marks are in a dvc.lock.
    """
    broken = damaged(root)
    if broken and (process := running_dvc(root)):
        raise InputError(
            f"{broken[0]}: is cut short, and {process} is at work here; end it or wait, then run this again"
        )
    return [*(_repair(root, path) for path in broken), *_drop_all_gone(root), *_delete_leftovers(root)]


def damaged(root: Path) -> list[Path]:
    """Those of the two kinds of file that DVC could not read, relative to `root`."""
    found = [path for path in RWLOCKS if _unreadable_rwlock(root / path)]
    return found + [path for path in lock_files(root) if not is_whole_lock(_bytes(root / path))]


def lock_files(root: Path) -> list[Path]:
    """Every dvc.lock of the pipeline, relative to `root`: one beside each dvc.yaml."""
    found = [path for depth in ("", "*/", "*/*/") for path in root.glob(f"{depth}dvc.lock")]
    ours = [path.relative_to(root) for path in found if path.with_name("dvc.yaml").is_file()]
    return sorted(path for path in ours if not path.parts[0].startswith((".", "build", "data")))


def keep_locks(root: Path) -> None:
    """Copy each dvc.lock that has changed since. Called by a stage, while DVC waits for it."""
    for path in lock_files(root):
        copy = root / layout.kept_lock(path)
        if not copy.exists() or _stamp(copy) != _stamp(root / path):
            with atomic(copy) as temporary:
                shutil.copy2(root / path, temporary)


def is_whole_lock(content: bytes) -> bool:
    """Whether DVC would read it: DVC's own schema, and the line end that its writer puts last."""
    import yaml
    from dvc.schema import COMPILED_LOCKFILE_SCHEMA  # a third of a second, which no stage need wait for
    from voluptuous import Invalid

    if not content.endswith(b"\n"):
        return False
    try:
        COMPILED_LOCKFILE_SCHEMA(yaml.load(content, getattr(yaml, "CSafeLoader", yaml.SafeLoader)))
    except (yaml.YAMLError, UnicodeDecodeError, Invalid):
        return False
    return True


def running_dvc(root: Path) -> str:
    """Name and number of a `dvc` that works in `root`, or may, as another user's; '' where there is none."""
    import psutil

    for process in psutil.process_iter(["pid", "cmdline"]):
        command = process.info["cmdline"] or []
        if "dvc" not in (Path(word).name for word in command[:3]):
            continue
        try:
            if not Path(process.cwd()).is_relative_to(root.resolve()):
                continue
        except psutil.AccessDenied:  # another user's
            pass
        except psutil.NoSuchProcess:
            continue
        return (
            f"{' '.join(['dvc', *command[command.index(_dvc_word(command)) + 1 :]])} (process {process.pid})"
        )
    return ""


def _dvc_word(command: list[str]) -> str:
    return next(word for word in command if Path(word).name == "dvc")


def _repair(root: Path, path: Path) -> str:
    if path in RWLOCKS:
        (root / path).unlink()
        return f"{path}: was cut short by a kill; removed, as no dvc is at work here"
    if any(mark in _bytes(root / path).decode(errors="replace") for mark in CONFLICT):
        raise InputError(
            f"{path}: holds both sides of a merge; take one, git checkout --ours {path} (or --theirs), "
            "and run this again"
        )
    for content, origin in _whole_copies(root, path):
        write_text(root / path, content.decode("utf-8"))
        return f"{path}: was cut short by a kill; restored from {origin}"
    (root / path).unlink()
    return f"{path}: was cut short by a kill; removed: the next run writes it anew, from the run cache"


def _whole_copies(root: Path, path: Path) -> Iterator[tuple[bytes, str]]:
    kept = root / layout.kept_lock(path)
    if kept.exists() and is_whole_lock(content := _bytes(kept)):
        yield content, "the copy that the last run kept"
    command = ["git", "show", f"HEAD:./{path.as_posix()}"]
    try:
        done = subprocess.run(command, cwd=root, capture_output=True, check=False)
    except FileNotFoundError:  # no git here
        return
    if done.returncode == 0 and is_whole_lock(done.stdout):
        yield done.stdout, "the last commit"


def _unreadable_rwlock(path: Path) -> bool:
    from dvc.rwlock import SCHEMA
    from voluptuous import Invalid

    try:
        SCHEMA(json.loads(_bytes(path)))
    except FileNotFoundError:
        return False
    except (ValueError, Invalid):
        return True
    return False


def _drop_all_gone(root: Path) -> list[str]:
    return [line for path in RWLOCKS if (root / path).exists() for line in _drop_gone(root, path)]


def _drop_gone(root: Path, lock: Path) -> list[str]:
    """Take entries out of a whole rwlock whose process is gone and whose number another process has now.

    DVC does so itself where no process has the number.
    """
    path = root / lock
    written, tree = path.stat().st_mtime, json.loads(_bytes(path))
    kept: dict[str, Any] = {
        "write": {
            name: entry for name, entry in tree.get("write", {}).items() if not _is_gone(entry, written)
        },
        "read": {
            name: left
            for name, entries in tree.get("read", {}).items()
            if (left := [entry for entry in entries if not _is_gone(entry, written)])
        },
    }
    if kept == {"write": tree.get("write", {}), "read": tree.get("read", {})}:
        return []
    write_text(path, json.dumps(kept))
    return [f"{lock}: named processes that are gone; their entries are removed"]


def _is_gone(entry: dict[str, Any], written: float) -> bool:
    """Whether the number of the process that made the entry belongs to a later one, or to a dead one."""
    import psutil

    try:
        process = psutil.Process(entry["pid"])
        return process.status() == psutil.STATUS_ZOMBIE or process.create_time() > written
    except psutil.Error:
        return False


def _delete_leftovers(root: Path) -> list[str]:
    """Files that nobody will read: of stages that were killed, and of a `dvc` that was, in its cache."""
    found = list(leftovers(root / layout.BUILD))
    if unfinished := list((root / ".dvc/cache/files/md5").glob("??/.*.tmp")):
        found += unfinished if not running_dvc(root) else []
    for path in found:
        shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
    names = ", ".join(sorted({path.name for path in found})[:3])
    return [f"deleted {len(found)} unfinished files that kills left: {names}"] if found else []


def _stamp(path: Path) -> tuple[int, int]:
    stat = path.stat()
    return stat.st_mtime_ns, stat.st_size


def _bytes(path: Path) -> bytes:
    return path.read_bytes()
