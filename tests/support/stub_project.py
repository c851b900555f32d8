"""A pipeline that takes a second: locks in two places, a probe, and stages that write as the real ones do."""

import json
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROWS = ("a", "b", "c")
FILES = 4  # a row makes
LINES = 1000  # of a file

PROBE = """
from pathlib import Path
from edsr_int8.files import write_json
from edsr_int8.pipeline import layout
from edsr_int8.pipeline.code_hashes import code

for script in ("make", "report"):
    write_json(layout.code(script), code(Path("stages", f"{script}.py"), Path()))
"""
MAKE = """
import json, sys, time
from pathlib import Path
from edsr_int8.files import atomic_folder, write_text
from edsr_int8.pipeline.recovery import keep_locks

keep_locks(Path())
seed = json.loads(Path("params.json").read_text())["seed"]
with atomic_folder(Path("build/made", sys.argv[1])) as folder:
    for i in range(FILES):
        write_text(folder / f"{i}.txt", f"{sys.argv[1]} {seed} {i}\\n" * LINES)
        time.sleep(0.02)
""".replace("FILES", str(FILES)).replace("LINES", str(LINES))
REPORT = """
import json, time
from pathlib import Path
from edsr_int8.files import write_json
from edsr_int8.pipeline.recovery import keep_locks

keep_locks(Path())
found = {path.as_posix(): len(path.read_text()) for path in sorted(Path("build/made").rglob("*.txt"))}
time.sleep(0.05)
write_json(Path("results/sum.json"), [json.loads(Path("params.json").read_text())["seed"], found])
"""
PIPELINE = """\
stages:
  probe:
    cmd: python -m stages.probe
    always_changed: true
    outs:
    - build/probe
  report:
    cmd: python -m stages.report
    deps:
    - build/probe/code/report.json
    - build/made
    params:
    - params.json:
      - seed
    outs:
    - results/sum.json:
        cache: false
"""
ROWS_PIPELINE = """\
stages:
  make:
    foreach: ROWS
    do:
      wdir: ../..
      cmd: python -m stages.make ${item}
      deps:
      - build/probe/code/make.json
      params:
      - params.json:
        - seed
      outs:
      - build/made/${item}
""".replace("ROWS", json.dumps(ROWS))


def make_stub(root: Path) -> None:
    """A git and DVC repository in `root` with this project's own source, committed; nothing has run."""
    shutil.copytree(ROOT / "src", root / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    for folder in ("stages", "pipeline/make", ".dvc"):
        (root / folder).mkdir(parents=True)
    for name in (".dvc/config", ".dvc/.gitignore", ".dvcignore", ".gitignore", "stages/__init__.py"):
        shutil.copyfile(ROOT / name, root / name)
    for name, text in (("probe", PROBE), ("make", MAKE), ("report", REPORT)):
        (root / "stages" / f"{name}.py").write_text(text)
    (root / "dvc.yaml").write_text(PIPELINE)
    (root / "pipeline" / "make" / "dvc.yaml").write_text(ROWS_PIPELINE)
    set_seed(root, 0)
    git = ["git", "-c", "user.name=a user", "-c", "user.email=user@example.org"]
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "stub"]):
        subprocess.run([*git, *command], cwd=root, check=True)


def set_seed(root: Path, seed: int) -> None:
    """The one setting, on which every output depends."""
    (root / "params.json").write_text(json.dumps({"seed": seed}))


def expected(seed: int) -> dict[str, str]:
    """File -> content, of all that a whole run writes."""
    made = {f"build/made/{row}/{i}.txt": f"{row} {seed} {i}\n" * LINES for row in ROWS for i in range(FILES)}
    lengths = {path: len(text) for path, text in sorted(made.items())}
    return made | {"results/sum.json": json.dumps([seed, lengths], sort_keys=True, indent=1) + "\n"}


def found(root: Path) -> dict[str, str]:
    """The same of what is there: all of build/ and results/ but the probe's and what DVC does not track."""
    files = [path for name in ("build", "results") for path in (root / name).rglob("*") if path.is_file()]
    named = {path.relative_to(root).as_posix(): path for path in files}
    skipped = ("build/partial/", "build/probe/")
    return {name: path.read_text() for name, path in named.items() if not name.startswith(skipped)}
