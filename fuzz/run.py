"""`make fuzz`: thousands of damaged files for every reader, and what came of them, in numbers.

An input is refused in one line that names its file, or taken. All else is a failure: another exception,
a message of two lines or of pages, a warning beside it, more than 20 seconds, more than 2 GB, a process that
dies, other weights than those of an archive with checksums, a file outside of its folder. Each input is made
from --seed, the subject's name and its own number: `--only SUBJECT --number N` makes it again.
"""

import argparse
import os
import queue
import resource
import subprocess
import sys
import threading
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from tempfile import NamedTemporaryFile, TemporaryDirectory

MOST_S, MOST_BYTES, MOST_CHARACTERS = 20.0, 2 * 10**9, 4000
BATCH = 100  # inputs that a worker gets at a time
SHARES = {"reports": 0.2}  # of the inputs: a page takes a tenth of a second
START_S = 120.0  # that a worker may take to load the libraries


def attempt(subject, random: Random) -> str:  # type: ignore[no-untyped-def]
    """'taken', 'refused', or what is wrong, in one line."""
    from edsr_int8.errors import InputError, told
    from edsr_int8.targets.base import Unavailable

    began = time.monotonic()
    with TemporaryDirectory() as folder:
        try:
            subject.read(subject.input(random), Path(folder))
            said = "taken"
        except (InputError, Unavailable) as error:
            said = _refused(str(error), folder)
        except OSError as error:  # as commands and stages tell it
            said = _refused(told(error), folder)
        except Exception as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{Path(place.filename).name}:{place.lineno}"
            said = f"{type(error).__name__} in {where}: {str(error)[:200]!r}"
    passed = time.monotonic() - began
    return said if passed <= MOST_S else f"took {passed:.0f} s"


def _refused(text: str, folder: str) -> str:
    """'refused', or what is wrong with the message."""
    if len(text.splitlines()) != 1 or len(text) > MOST_CHARACTERS:
        return f"{len(text.splitlines())} lines, {len(text)} characters: {text[:200]!r}"
    named = any(name in text for name in (folder, "x.zip", "build/scores", "scores of net/"))
    return "refused" if named else f"names no file: {text[:200]!r}"


def number_of(seed: int, name: str, number: int) -> Random:
    return Random(f"{seed} {name} {number}")


def work() -> None:
    """A worker: lines 'subject first last seed' come in, lines 'number outcome' go out."""
    import fuzz.subjects  # noqa: F401 - takes seconds, before it is ready

    print("ready", flush=True)
    with NamedTemporaryFile("ab") as noise:
        os.dup2(noise.fileno(), sys.stderr.fileno())
        _serve(Path(noise.name))


def _serve(noise: Path) -> None:
    """`noise`: where stderr goes, of Python and of libraries in C."""
    from fuzz.subjects import SUBJECTS

    made = {}
    for line in sys.stdin:
        name, first, last, seed = line.split()
        made[name] = made.get(name) or SUBJECTS[name]()
        for number in range(int(first), int(last)):
            said = attempt(made[name], number_of(int(seed), name, number))
            if beside := noise.read_text(errors="replace"):
                said = f"beside it came {beside[:300]!r}"
                os.truncate(noise, 0)
            if (peak := resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024) > MOST_BYTES:
                said = f"took {peak / 1e9:.1f} GB"
            print(number, said.replace("\n", " "), flush=True)
            if said.startswith("took"):
                return


class Worker:
    """A process that is started again after it died."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[str] | None = None

    def run(self, name: str, first: int, last: int, seed: int, tell) -> None:  # type: ignore[no-untyped-def]
        """Try inputs first..last, and `tell(number, outcome)` of each."""
        while first < last:
            lines = self._lines(f"{name} {first} {last} {seed}\n")
            while first < last:
                try:
                    line = lines.get(timeout=MOST_S + 5)
                except queue.Empty:
                    line = "slow"
                if line in ("slow", "dead"):
                    code = self._end()
                    tell(first, f"took more than {MOST_S:.0f} s" if line == "slow" else f"died ({code})")
                    first += 1
                    break
                number, _, said = line.partition(" ")
                tell(int(number), said)
                first = int(number) + 1

    def _lines(self, task: str) -> "queue.Queue[str]":
        if self.process is None or self.process.poll() is not None:
            command = [sys.executable, "-m", "fuzz.run", "--worker"]
            environment = dict(os.environ, OMP_NUM_THREADS="1", NO_PROXY="127.0.0.1")
            self.process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                env=environment,
            )  # fmt: skip
            self.lines: queue.Queue[str] = queue.Queue()
            threading.Thread(target=_forward, args=(self.process, self.lines), daemon=True).start()
            if self.lines.get(timeout=START_S) != "ready":
                raise SystemExit("fuzz: a worker does not start: python -m fuzz.run --worker says why")
        assert self.process.stdin
        self.process.stdin.write(task)
        self.process.stdin.flush()
        return self.lines

    def _end(self) -> int | None:
        assert self.process
        self.process.kill()
        self.process.wait()
        return self.process.returncode


def _forward(process: "subprocess.Popen[str]", lines: "queue.Queue[str]") -> None:
    assert process.stdout
    for line in process.stdout:
        lines.put(line.rstrip("\n"))
    lines.put("dead")


@dataclass
class Report:
    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, name: str, number: int, said: str) -> None:
        with self.lock:
            kind = said if said in ("taken", "refused") else "failed"
            self.outcomes[name, kind] += 1
            if kind == "failed":
                self.failures.append(f"{name} {number}: {said}")
                print(f"FAILURE {name} {number}: {said}", flush=True)


def fuzz(names: list[str], inputs: int, seconds: float, seed: int, workers: int) -> Report:
    """`inputs` of each subject, or as many as `seconds` allow, batch by batch in turn."""
    report, batches, end = Report(), queue.Queue[tuple[str, int]](), time.monotonic() + seconds
    wanted = {name: int(inputs * SHARES.get(name, 1)) for name in names}
    for first in range(0, inputs, BATCH):
        for name in names:
            if first < wanted[name]:
                batches.put((name, first))

    def drain() -> None:
        worker = Worker()
        while time.monotonic() < end:
            try:
                name, first = batches.get_nowait()
            except queue.Empty:
                return
            last = min(first + BATCH, wanted[name])
            worker.run(
                name, first, last, seed, lambda number, said, name=name: report.add(name, number, said)
            )

    threads = [threading.Thread(target=drain) for _ in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return report


def main() -> int:
    parser = argparse.ArgumentParser(prog="fuzz", description=__doc__)
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--inputs", type=int, default=5000, help="of each subject (default: %(default)s)")
    parser.add_argument("--minutes", type=float, default=9.5)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--only", default="", help="one subject")
    parser.add_argument("--number", type=int, help="make this input of --only again, and run it here")
    given = parser.parse_args()
    if given.worker:
        work()
        return 0
    from fuzz.subjects import SUBJECTS

    if given.number is not None:
        subject, random = SUBJECTS[given.only](), number_of(given.seed, given.only, given.number)
        content = subject.input(random)
        print(len(content), content[:300])
        with TemporaryDirectory() as folder:
            subject.read(content, Path(folder))
        return 0
    began = time.monotonic()
    names = [given.only] if given.only else list(SUBJECTS)
    report = fuzz(names, given.inputs, 60 * given.minutes, given.seed, given.workers)
    for name in names:
        counts = {kind: report.outcomes[name, kind] for kind in ("taken", "refused", "failed")}
        print(f"{name:20} " + ", ".join(f"{count} {kind}" for kind, count in counts.items()))
    total = sum(report.outcomes.values())
    took = time.monotonic() - began
    print(f"{total} inputs in {took:.0f} s, {len(report.failures)} failures, seed {given.seed}")
    return 1 if report.failures else 0


if __name__ == "__main__":
    sys.exit(main())
