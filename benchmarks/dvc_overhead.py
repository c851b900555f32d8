"""What DVC itself takes for each stage of a whole card: with one lock, and with one for each kind of stage.

    python benchmarks/dvc_overhead.py [--models 19] [--first 100] [--last 100] [--last-in-one 100]

The rows of presets/card.yaml, with the precisions of presets/sample.yaml and three targets. Every stage is a
stub that writes a line into each of its outputs. Before: all in one dvc.yaml, with a stage for each target
of a build. After: as it is in pipeline/. The figures are the seconds from the start of one stage to the start
of the next: DVC's own processor time, and beside it the time on the clock, which grows with other work on
the machine. The first stages run in an empty project; the last ones in a project whose other stages are
done, with locks that DVC's own code has written. Then nothing is left to do but `probe`.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

from dvc.repo import Repo
from dvc.repo.reproduce import plan_repro
from dvc.stage.serialize import to_lockfile
from dvc.utils.serialize import dump_yaml
from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parents[1]
TARGETS = {
    "onnxruntime": {"runtime": "onnxruntime", "provider": "CPUExecutionProvider"},
    "openvino": {"runtime": "openvino", "provider": "CPU"},
    "integer": {"runtime": "integer"},
}
# Writes a line into each file that files/<its arguments> lists; stops DVC at the stage after `limit`.
STUB = """
read wall rest < /proc/uptime
read -r line < /proc/$DVC_PROCESS/stat
set -- "$@" -- $line
name=$1; while [ "$1" != -- ]; do name=$name-$1; shift; done; name=${name#*-}; shift
echo "$wall ${14} ${15}" >> log
[ $(wc -l < log) -le $(cat limit) ] || exit 1
while read -r file; do mkdir -p "${file%/*}"; echo "$name" > "$file"; done < "files/$name"
"""
TICK = os.sysconf("SC_CLK_TCK")
Tree = dict[str, Any]


@dataclass(frozen=True)
class Seconds:
    """Of DVC at one stage."""

    processor: float
    clock: float


def read(file: Path) -> Tree:
    return YAML(typ="safe").load(file.read_text(encoding="utf-8"))


def write(file: Path, tree: Tree) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", encoding="utf-8") as stream:
        YAML(typ="safe").dump(tree, stream)


def card(models: int) -> Tree:
    """The rows of params.yaml."""
    tree = read(ROOT / "presets" / "card.yaml")
    names = list(tree["models"])[:models]
    tree["models"] = {name: tree["models"][name] for name in names}
    return tree | {"precisions": read(ROOT / "presets" / "sample.yaml")["precisions"], "targets": TARGETS}


def pipeline_files() -> dict[str, Tree]:
    """Each dvc.yaml of this repository with stubs for commands, by its path."""
    files = [ROOT / "dvc.yaml", *sorted(ROOT.glob("pipeline/*/dvc.yaml"))]
    found = {file.relative_to(ROOT).as_posix(): read(file) for file in files}
    for tree in found.values():
        tree.pop("plots", None)
        for stage in tree["stages"].values():
            body = stage.get("do", stage)
            body["cmd"] = body["cmd"].replace("python -m stages.", "sh stub.sh ")
    return found


def in_one(files: dict[str, Tree]) -> dict[str, Tree]:
    """The same stages in one dvc.yaml, with one for each target where it is now one for all."""
    stages: Tree = {}
    for tree in files.values():
        for name, stage in tree["stages"].items():
            body = {key: value for key, value in stage.get("do", stage).items() if key != "wdir"}
            if name in ("time", "evaluate"):
                body["matrix"] = body["matrix"] | {"target": "${targets}"}
                body["cmd"] += " ${item.target}"
                body["outs"] = [f"build/{name}/${{item.model}}/${{item.precision}}/${{item.target}}"]
            stages[name] = {"foreach": stage["foreach"], "do": body} if "do" in stage else body
    report = stages["report"]
    report["deps"] = [*report["deps"], "build/time", "build/evaluate"]
    for gone in ("build/comparison", "build/scores", "build/timings"):
        report["deps"].remove(gone)
    return {"dvc.yaml": {"stages": stages}}


def make_project(folder: Path, files: dict[str, Tree], params: Tree) -> None:
    """A repository with these stages, whose outputs hold whatever file some other stage depends on."""
    write(folder / "params.yaml", params)
    for path, tree in files.items():
        write(folder / path, tree)
    for name in (".gitignore", ".dvcignore", ".dvc/config", "data/weights/random", "stages/fetch.py"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    (folder / "stub.sh").write_text(STUB)
    subprocess.run(["git", "init", "--quiet"], cwd=folder, check=True)
    with Repo(str(folder)) as repo:
        stages = repo.index.stages
        needed = {dep.def_path for stage in stages for dep in stage.deps}
        (folder / "files").mkdir()
        for stage in stages:
            made = [file for out in stage.outs for file in files_of(out.def_path, needed)]
            arguments = stage.cmd.removeprefix("sh stub.sh ").replace(" ", "-")
            (folder / "files" / arguments).write_text("".join(f"{file}\n" for file in made))


def files_of(out: str, needed: Iterable[str]) -> list[str]:
    """The paths in `out` that others depend on; those that are folders above others of them left out."""
    inside = sorted(path for path in needed if path.startswith(f"{out}/"))
    return [path for path in inside if not any(other.startswith(f"{path}/") for other in inside)] or [out]


def record(folder: Path, stages_left: int) -> int:
    """Do in this process what the stubs of all but the last stages do, and write the locks."""
    locks: dict[Path, Tree] = {}
    home = os.getcwd()
    os.chdir(folder)
    try:
        with Repo(str(folder)) as repo, repo.lock:
            order = plan_repro(repo.index.graph)
            for stage in order[: len(order) - stages_left]:
                arguments = stage.cmd.removeprefix("sh stub.sh ").replace(" ", "-")
                for file in (folder / "files" / arguments).read_text().splitlines():
                    (folder / file).parent.mkdir(parents=True, exist_ok=True)
                    (folder / file).write_text(f"{arguments}\n")
                stage.save()
                stage.commit()
                lock = locks.setdefault(Path(stage.path).with_name("dvc.lock"), {})
                lock.update(to_lockfile(stage))
    finally:
        os.chdir(home)
    for file, entries in locks.items():
        dump_yaml(str(file), {"schema": "2.0", "stages": entries})
    return len(order)


def repro(folder: Path, limit: int = 10**9) -> list[Seconds]:
    """Run at most `limit` stages; what DVC takes from each to the next."""
    (folder / "log").write_text("")
    (folder / "limit").write_text(f"{limit}\n")
    command = 'export DVC_PROCESS=$$; exec "$0" -m dvc repro --quiet'
    done = subprocess.run(["sh", "-c", command, sys.executable], cwd=folder, capture_output=True, text=True)
    rows = [line.split() for line in (folder / "log").read_text().splitlines()]
    if done.returncode and len(rows) <= limit:
        sys.exit(done.stderr)
    marks = [(float(clock), (int(user) + int(system)) / TICK) for clock, user, system in rows]
    return [Seconds(b[1] - a[1], b[0] - a[0]) for a, b in pairwise(marks)]


def nothing_to_do(folder: Path) -> Seconds:
    """A whole `dvc repro` that runs `probe` alone."""
    before, start = os.times(), time.perf_counter()
    repro(folder)
    after = os.times()
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return Seconds(used, time.perf_counter() - start)


def show(label: str, seconds: list[Seconds]) -> None:
    processor, clock = [s.processor for s in seconds], [s.clock for s in seconds]
    print(
        f"  {label} {len(seconds)}: median {median(processor):.2f} s, longest {max(processor):.2f} s"
        f"; by the clock, median {median(clock):.2f} s",
        flush=True,
    )


def measure(label: str, folder: Path, files: dict[str, Tree], params: Tree, first: int, last: int) -> None:
    """Print the figures of one way to write the same pipeline."""
    empty, full = folder / "empty", folder / "full"
    make_project(empty, files, params)
    begin = repro(empty, first)
    make_project(full, files, params)
    count = record(full, last)
    print(f"{label}: {count} stages", flush=True)
    show("the first", begin)
    show("the last", repro(full)[1:])  # not after probe, when DVC looks at all others
    again = nothing_to_do(full)
    print(f"  nothing to do: {again.processor:.1f} s, by the clock {again.clock:.1f} s", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="DVC's own time for each stage of a whole card")
    parser.add_argument("--models", type=int, default=19, help="of the card (default: all)")
    parser.add_argument("--first", type=int, default=100, help="stages that run in an empty project")
    parser.add_argument("--last", type=int, default=100, help="stages that run where all others are done")
    parser.add_argument("--last-in-one", type=int, default=100, help="the same, with one lock")
    options = parser.parse_args()
    params, files = card(options.models), pipeline_files()
    with tempfile.TemporaryDirectory() as temporary:
        os.environ.update(HOME=temporary, DVC_SITE_CACHE_DIR=f"{temporary}/site")
        after, before = Path(temporary) / "after", Path(temporary) / "before"
        measure("a lock for each kind", after, files, params, options.first, options.last)
        measure("one lock", before, in_one(files), params, options.first, options.last_in_one)


if __name__ == "__main__":
    main()
