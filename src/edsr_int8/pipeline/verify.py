"""Whether everything that DVC believes is so: each byte hashed again, code and machine looked at afresh.

DVC knows a file by its time and length, and takes what its cache holds for whole. A byte that changes in
`build/`, whose files are links into the cache, so stays "cached" for good.
"""

import contextlib
import hashlib
import json
import logging
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from edsr_int8.errors import InputError
from edsr_int8.files import temporary_folder
from edsr_int8.machine import cores
from edsr_int8.pipeline import layout
from edsr_int8.pipeline.recovery import damaged
from edsr_int8.progress import bar

PROBE = "probe"
MISSING = ("deleted", "not in cache")  # DVC's words for what a pull or `--allow-missing` makes up for
LISTS = {"code is": layout.code("x").parent, "settings are": layout.settings("x").parents[1]}  # of the probe
SHOWN = 3  # reasons and files in a line; the rest are counted
Objects = dict[str, list[str]]  # md5, as DVC's cache names files -> where they lie in the repository


def verify(root: Path, *, allow_missing: bool = False, remote: str = "") -> Iterator[str]:
    """What does not fit, a line each; nothing where `dvc repro` would run `probe` alone.

    `allow_missing`: as of `dvc repro`: a file that is only missing counts as there. `remote`: its name, or ''
    for the default one, if there is one. Runs the stage `probe`; where something does not fit, DVC forgets
    the hashes that it remembers, so that the next `dvc repro` sees it, too. Writes nothing else.
    """
    broken = damaged(root)
    yield from (f"{path}: is empty or cut short; run edsr-int8 check, which puts it right" for path in broken)
    if broken:
        return
    _probe(root)
    with _opened(root) as repo:
        objects = _objects(repo)
        faults = list(_damaged_objects(Path(repo.cache.local.path), objects, root))
        faults += _stale_stages(repo, allow_missing=allow_missing)
        faults += _remote(repo, remote, objects)
    if faults:
        _forget(root)
    yield from faults


@contextlib.contextmanager
def _opened(root: Path) -> Iterator[Any]:
    """The repository as DVC sees it with nothing remembered, so that it hashes every file."""
    from dvc.env import DVC_SITE_CACHE_DIR
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    logger = logging.getLogger("dvc")
    level = logger.level
    logger.setLevel(logging.ERROR)  # it warns of what is told here in a line
    memory = os.environ.get(DVC_SITE_CACHE_DIR)
    with temporary_folder() as empty:
        os.environ[DVC_SITE_CACHE_DIR] = str(empty)
        try:
            repo = Repo(str(root))
            yield repo
            repo.close()
        except DvcException as error:
            raise InputError(f"dvc: {' '.join(str(error).split())}") from None
        finally:
            logger.setLevel(level)
            del os.environ[DVC_SITE_CACHE_DIR]
            if memory is not None:
                os.environ[DVC_SITE_CACHE_DIR] = memory


def _forget(root: Path) -> None:
    """Have DVC hash every file again: it keeps a hash for as long as a file keeps its time and length."""
    from dvc.repo import Repo

    repo = Repo(str(root))
    repo.state.hashes.clear()
    repo.close()


def _probe(root: Path) -> None:
    """Look at code and machine as the next `dvc repro` would. InputError: what it says."""
    done = subprocess.run(
        [sys.executable, "-m", "stages.probe"], cwd=root, capture_output=True, text=True, check=False
    )
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["stopped without a word"]
        raise InputError(said[-1].removeprefix("error: "))


def _objects(repo: Any) -> Objects:
    """Every file that some dvc.lock names, as an output or a dependency."""
    found: Objects = {}
    for stage in repo.index.stages:
        for out in stage.outs:
            digest, place = out.hash_info.value if out.hash_info else "", str(out)
            if digest and out.use_cache:
                found.setdefault(digest, []).append(place)
                for name, member in _members(Path(repo.cache.local.oid_to_path(digest))):
                    found.setdefault(member, []).append(f"{place}/{name}")
    return found


def _members(listing: Path) -> Iterator[tuple[str, str]]:
    """Name and md5 of every file of a folder, from the list that the cache has of it."""
    if listing.suffix != ".dir":
        return
    try:
        entries = json.loads(listing.read_bytes())
        yield from ((entry["relpath"], entry["md5"]) for entry in entries)
    except (OSError, ValueError, TypeError, KeyError):  # missing or damaged: told by those who look for that
        return


def _damaged_objects(cache: Path, objects: Objects, root: Path) -> Iterator[str]:
    files = sorted(cache.glob("[0-9a-f][0-9a-f]/*"))
    with ThreadPoolExecutor(cores()) as pool:
        whole = bar(pool.map(_is_whole, files), "cache", total=len(files))
        damage = [path for path, is_whole in zip(files, whole, strict=True) if not is_whole]
    for path in damage:
        shown = path.relative_to(root.resolve()) if path.is_relative_to(root.resolve()) else path
        places = objects.get(path.parent.name + path.name, [])
        remove = shlex.join(["rm", "-f", str(shown), *(places if path.suffix != ".dir" else ())])
        yield f"{shown}{f' ({_some(places)})' if places else ''}: is damaged; {remove}, then dvc repro"


def _is_whole(path: Path) -> bool:
    """Whether a file of DVC's cache has the content that its name says; other files are none of ours."""
    name = path.parent.name + path.name.removesuffix(".dir")
    if len(name) != 32:
        return True
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest() == name


def _stale_stages(repo: Any, *, allow_missing: bool) -> Iterator[str]:
    """The stages that `dvc repro` would run for a reason of their own; those after them may follow."""
    known = {stage.addressing for stage in repo.index.stages if any(out.hash_info for out in stage.outs)}
    for address, reasons in repo.status().items():
        name = address.split(":")[-1]
        told = sorted({why for reason in reasons for why in _why(reason, repo, allow_missing)})
        if told and name != PROBE:
            yield f"{name}: would run: {_some(told) if address in known else 'it never has'}"


def _why(reason: Any, repo: Any, allow_missing: bool) -> Iterator[str]:
    if isinstance(reason, str):
        if reason != "always changed":
            yield reason
        return
    for kind, found in reason.items():
        for path, state in found.items():
            if isinstance(state, Mapping):  # of params.yaml
                yield from (f"{path}: {key} is {word}" for key, word in state.items())
            elif not (allow_missing and state in MISSING):
                yield f"{path} is {state}" if kind == "changed outs" else _dependency(path, state, repo)


def _dependency(path: str, state: str, repo: Any) -> str:
    """For a list of source files or settings, those that are others than when the stage ran."""
    kind = next((kind for kind, folder in LISTS.items() if Path(path).is_relative_to(folder)), "")
    if not kind or state != "modified":
        return f"{path} is {state}"
    deps = (dep for stage in repo.index.stages for dep in stage.deps if str(dep) == path and dep.hash_info)
    then = (
        _listed(Path(repo.cache.local.oid_to_path(dep.hash_info.value))) if (dep := next(deps, None)) else {}
    )
    now = _listed(Path(repo.root_dir, path))
    changed = sorted(file for file in {*now, *then} if now.get(file) != then.get(file))
    return f"its {kind} modified ({_some(changed)})" if then and changed else f"{path} is {state}"


def _listed(path: Path) -> dict[str, Any]:
    """What the probe wrote down by name; nothing where that is not known any more, or has no names."""
    found = json.loads(path.read_bytes()) if path.is_file() else None
    return found if isinstance(found, dict) else {}


def _remote(repo: Any, name: str, objects: Objects) -> Iterator[str]:
    """What of the files that the locks name the remote has not, or has with another content."""
    if not (name or repo.config["core"].get("remote")):
        return
    option = f" -r {name}" if name else ""
    try:
        odb = repo.cloud.get_remote_odb(name or None)
        there = set(odb.oids_exist(list(objects)))
    except Exception as error:  # the clouds' libraries have exceptions of their own
        yield f"remote: cannot be asked: {' '.join(str(error).split())}"
        return
    lacking = sorted(set(objects) - there)
    here = {digest for digest in lacking if Path(repo.cache.local.oid_to_path(digest)).exists()}
    if lost := [digest for digest in lacking if digest not in here]:
        yield f"neither here nor in the remote: {_files(lost, objects)}; dvc repro makes them again"
    if here:
        yield f"not in the remote: {_files(sorted(here), objects)}; dvc push --run-cache{option}"
    # Where DVC finds a folder's list in the remote, it takes the folder's files for pushed, too.
    for listing in sorted(digest for digest in there if digest.endswith(".dir")):
        if here & {member for _, member in _members(Path(repo.cache.local.oid_to_path(listing)))}:
            yield f"{odb.oid_to_path(listing)}: lists files that are not there; delete it before the push"
    folder = Path(odb.path)
    if folder.is_dir():  # one on this machine is read, too
        damage = [path for path in sorted(folder.glob("[0-9a-f][0-9a-f]/*")) if not _is_whole(path)]
        yield from (f"{path}: is damaged; delete it, then edsr-int8 verify again" for path in damage)


def _files(digests: Sequence[str], objects: Objects) -> str:
    return f"{len(digests)} files ({_some([objects.get(digest, [digest])[0] for digest in digests])})"


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if names[SHOWN:] else "")
