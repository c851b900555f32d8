"""What DVC itself takes for each stage of a whole card: with a lock for each kind of stage, and with one.

    python benchmarks/dvc_overhead.py [--models 19] [--precisions 6] [--targets 4] [--last-in-one 20]

The models of presets/card.yaml, with the first precisions and targets of presets/accelerators.yaml: 1,113
stages. Each is a stub that writes a line into each of its outputs. The figures are the seconds from the start
of one stage to the start of the next: DVC's own processor time, and beside it the time on the clock, which
grows with other work on the machine.

After, with the dvc.yaml files as they are: every stage runs. Before, the same stages in one dvc.yaml: as that
takes hours, the first ones run in an empty project and the last ones in a project whose other stages were
recorded by DVC's own code. Then nothing is left to do but `probe`.
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
# Writes a line into each file that files/<its arguments> lists; stops DVC at the stage after `limit`.
STUB = """
read wall rest < /proc/uptime
read -r line < /proc/$DVC_PROCESS/stat
set -- "$@" -- $line
name=$1; while [ "$1" != -- ]; do name=$name-$1; shift; done; name=${name#*-}; shift
echo "$wall ${14} ${15} $name" >> log
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
    kind: str = ""  # of stage


def read(file: Path) -> Tree:
    return YAML(typ="safe").load(file.read_text(encoding="utf-8"))


def write(file: Path, tree: Tree) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", encoding="utf-8") as stream:
        YAML(typ="safe").dump(tree, stream)


def card(models: int, precisions: int, targets: int) -> Tree:
    """The rows of params.yaml."""
    tree, rows = read(ROOT / "presets" / "card.yaml"), read(ROOT / "presets" / "accelerators.yaml")
    return tree | {
        "models": some(tree["models"], models),
        "precisions": some(rows["precisions"], precisions),
        "targets": some(rows["targets"], targets),
    }


def some(rows: Tree, count: int) -> Tree:
    return dict(list(rows.items())[:count])


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
    """The same stages in one dvc.yaml."""
    stages = {name: stage for tree in files.values() for name, stage in tree["stages"].items()}
    for stage in stages.values():
        stage.get("do", stage).pop("wdir", None)
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
    marks = [
        (float(clock), (int(user) + int(system)) / TICK, name.split("-")[0])
        for clock, user, system, name in rows
    ]
    return [Seconds(b[1] - a[1], b[0] - a[0], a[2]) for a, b in pairwise(marks)]


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


def show_kinds(seconds: list[Seconds], edge: int) -> None:
    """Whether stages of a kind, whose lock grows with each, take longer in the end than at first."""
    kinds: dict[str, list[float]] = {}
    for one in seconds:
        kinds.setdefault(one.kind, []).append(one.processor)
    for kind, taken in sorted(kinds.items()):
        if len(taken) >= 2 * edge:
            begin, end = median(taken[:edge]), median(taken[-edge:])
            change = f"first {edge} {begin:.2f} s, last {edge} {end:.2f} s"
            print(f"    {kind:14s} {len(taken):4d} stages: {change}")


def show_rest(folder: Path) -> None:
    again = nothing_to_do(folder)
    print(f"  nothing to do: {again.processor:.1f} s, by the clock {again.clock:.1f} s", flush=True)


def run_all(folder: Path, params: Tree, edge: int) -> None:
    """Every stage, with the dvc.yaml files as they are."""
    make_project(folder, pipeline_files(), params)
    seconds = repro(folder)[1:]  # not after probe, when DVC looks at all others
    print(f"a lock for each kind: {len(seconds) + 2} stages, each of them run", flush=True)
    show("all", seconds)
    show("the first", seconds[:edge])
    show("the last", seconds[-edge:])
    show_kinds(seconds, min(edge, 9))
    show_rest(folder)


def run_edges(folder: Path, params: Tree, first: int, last: int) -> None:
    """The first and the last stages, with one dvc.yaml."""
    empty, full = folder / "empty", folder / "full"
    for project in (empty, full):
        make_project(project, in_one(pipeline_files()), params)
    begin = repro(empty, first + 1)[1:]
    count = record(full, last + 1)
    print(f"one lock: {count} stages; all but the first and the last were recorded, not run", flush=True)
    show("the first", begin)
    show("the last", repro(full)[1:])
    show_rest(full)


def main() -> None:
    parser = argparse.ArgumentParser(description="DVC's own time for each stage of a whole card")
    parser.add_argument("--models", type=int, default=19, help="of the card (default: all)")
    parser.add_argument("--precisions", type=int, default=6)
    parser.add_argument("--targets", type=int, default=4)
    parser.add_argument("--edge", type=int, default=100, help="how many are the first and the last stages")
    parser.add_argument("--last-in-one", type=int, default=20, help="the last, with one lock: 10 s each")
    options = parser.parse_args()
    params = card(options.models, options.precisions, options.targets)
    with tempfile.TemporaryDirectory() as temporary:
        os.environ.update(HOME=temporary, DVC_SITE_CACHE_DIR=f"{temporary}/site")
        run_all(Path(temporary) / "after", params, options.edge)
        run_edges(Path(temporary) / "before", params, options.edge, options.last_in_one)


if __name__ == "__main__":
    main()
