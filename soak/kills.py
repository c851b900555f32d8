"""Kills at random moments, and at the worst one: every next run goes on without a human and ends byte-equal.

`make soak` runs this. A stub pipeline with locks in two places runs under DVC itself; its stages write as the
real ones do. What is killed: the whole process group, DVC alone, or the stage alone, by KILL, TERM or INT.
Some runs are killed while DVC rewrites `.dvc/tmp/rwlock` or a dvc.lock: in the middle of the write, after so
many characters. After each kill come the two steps of `make repro`, recover and `dvc repro`, and that may be
killed again. A run that then has nothing to do but the probe shows that the locks are whole, too.
"""

import argparse
import builtins
import contextlib
import os
import random
import re
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dvc.cli
import psutil
from stub_project import expected, found, make_stub, set_seed

from edsr_int8.pipeline.recovery import damaged, recover

MOST_KILLS = 3  # one after the other, before a run may end
UNHURT = "came too late, or DVC passed it over"
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
VICTIMS = ("group", "dvc", "stage")
RWLOCK, LOCK = r"/rwlock$", r"/dvc\.lock$"  # what DVC may be writing


@dataclass(frozen=True)
class Kill:
    victim: str
    number: signal.Signals
    after_s: float = 0.0  # of a random one
    aim: str = ""  # of an aimed one: what DVC is writing
    write: int = 0  # the how-manieth time that it does
    cut: int = 0  # after how many characters

    @property
    def name(self) -> str:
        place = {"": f"{self.victim}, at random", RWLOCK: "in rwlock", LOCK: "in a dvc.lock"}[self.aim]
        return f"{place}: {self.number.name}"


def start(root: Path, log: Path, kill: Kill | None = None) -> int:
    """`dvc repro` in a process of a session of its own, forked: DVC is imported once. Its number."""
    if process := os.fork():
        return process
    os.setsid()
    os.chdir(root)
    with log.open("w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    for number in SIGNALS[1:]:
        signal.signal(number, signal.SIG_DFL if number == signal.SIGTERM else signal.default_int_handler)
    if kill and kill.aim:
        aim(kill)
    try:
        status = dvc.cli.main(["repro"])
    except BaseException:  # the end of this copy of the process, whatever it is
        status = 1
    os._exit(status)


def aim(kill: Kill) -> None:
    """Have this process killed in the middle of the write that `kill` names."""
    system, seen = builtins.open, Counter[str]()

    def opened(path: Any, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        file = system(path, mode, *arguments, **options)
        if "w" in mode and re.search(kill.aim, os.fspath(path) if not isinstance(path, int) else ""):
            seen[kill.aim] += 1
            if seen[kill.aim] == kill.write:
                return Cut(file, kill)
        return file

    builtins.open = opened  # type: ignore[assignment]


class Cut:
    """A file that is being written; after so many characters the kill comes."""

    def __init__(self, file: Any, kill: Kill) -> None:
        self.file, self.kill, self.left = file, kill, kill.cut

    def __enter__(self) -> "Cut":
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)

    def write(self, text: str) -> int:
        if len(text) <= self.left:
            self.left -= len(text)
            return int(self.file.write(text))
        self.file.write(text[: self.left])
        self.file.flush()
        send = os.killpg if self.kill.victim == "group" else os.kill
        send(os.getpid(), self.kill.number)
        time.sleep(5)  # until it arrives
        return 0


def end(process: int, kill: Kill | None) -> int:
    """Wait for the run, and kill it as `kill` says. Its exit status."""
    if kill and not kill.aim:
        time.sleep(kill.after_s)
        gone, status = os.waitpid(process, os.WNOHANG)
        if gone:
            return os.waitstatus_to_exitcode(status)  # it was quicker
        strike(process, kill)
    _, status = os.waitpid(process, 0)
    return os.waitstatus_to_exitcode(status)


def strike(process: int, kill: Kill) -> None:
    if kill.victim == "group":
        os.killpg(process, kill.number)
        return
    stages = psutil.Process(process).children(recursive=True) if kill.victim == "stage" else []
    for victim in stages or [psutil.Process(process)]:  # between two stages: DVC
        with contextlib.suppress(psutil.NoSuchProcess):
            victim.send_signal(kill.number)


class Soak:
    def __init__(self, folder: Path, seed: int) -> None:
        self.root, self.log = folder / "project", folder / "log"
        self.random = random.Random(seed)
        self.counts: Counter[str] = Counter()
        self.repaired: Counter[str] = Counter()
        self.failures: list[str] = []
        self.run_s = 2.0  # of the last run that was not killed
        make_stub(self.root)

    def chain(self, seed: int, kills: list[Kill]) -> None:
        """One change of a setting, runs that are killed, and one that is not."""
        set_seed(self.root, seed)
        for kill in [*kills, None]:
            if not self.run(kill):
                return
        if found(self.root) != expected(seed):
            different = set(found(self.root).items()) ^ set(expected(seed).items())
            self.failures.append(f"seed {seed}, {kills}: other bytes in {sorted({n for n, _ in different})}")
        if seed % 5 == 0 and self.run(None):
            ran = re.findall(r"Running stage '(.*)'", self.log.read_text())
            if ran != ["probe"]:
                self.failures.append(f"seed {seed}, {kills}: a run with nothing to do ran {ran}")

    def run(self, kill: Kill | None) -> bool:
        try:
            broken = damaged(self.root)
            for line in recover(self.root):
                self.repaired[line.split(":")[0].removeprefix("pipeline/make/")] += 1
            assert not broken or not damaged(self.root), f"{broken} are still damaged"
        except Exception as error:
            self.failures.append(f"before {kill}: {error}")
            return False
        begun = time.monotonic()
        status = end(start(self.root, self.log, kill), kill)
        if kill:
            self.counts[kill.name if status else UNHURT] += 1
            return True  # what stopped it by itself stops the next run, too
        self.run_s = time.monotonic() - begun
        if status:
            self.failures.append(f"exit status {status}: {self.log.read_text()[-500:]}")
        return not status

    def random_kill(self) -> Kill:
        pick = self.random
        return Kill(pick.choice(VICTIMS), pick.choice(SIGNALS), after_s=pick.uniform(0.02, self.run_s))

    def aimed_kill(self) -> Kill:
        pick, aim = self.random, self.random.choice((RWLOCK, LOCK))
        last = 12 if aim == RWLOCK else 4
        victim = pick.choice(("group", "dvc"))
        return Kill(
            victim, pick.choice(SIGNALS), aim=aim, write=pick.randint(1, last), cut=pick.randint(0, 250)
        )

    def kills(self) -> int:
        return sum(count for name, count in self.counts.items() if name != UNHURT)


def soak(folder: Path, *, kills: int, aimed: int, seed: int) -> int:
    """Exit status: 0 where every run after a kill went on by itself and ended in the right bytes."""
    this = Soak(folder, seed)
    begun, chains = time.monotonic(), 0
    kinds: list[tuple[Callable[[], Kill], int]] = [(this.aimed_kill, aimed), (this.random_kill, kills)]
    for make, wanted in kinds:
        goal = this.kills() + wanted
        while this.kills() < goal and len(this.failures) < 5:
            chains += 1
            left = goal - this.kills()
            this.chain(chains, [make() for _ in range(min(left, this.random.randint(1, MOST_KILLS)))])
            if chains % 10 == 0:
                print(f"{this.kills()} kills, {len(this.failures)} failures", flush=True)
    for name, count in sorted(this.counts.items()):
        print(f"{count:5d}  {name}")
    repaired = ", ".join(f"{name} {count} times" for name, count in sorted(this.repaired.items()))
    seconds = time.monotonic() - begun
    print(f"{this.kills()} kills in {chains} chains, {seconds:.0f} s; repaired: {repaired or 'nothing'}")
    print(f"{len(this.failures)} failures", *this.failures, sep="\n")
    return 1 if this.failures else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--aimed", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    os.environ.update(DVC_NO_ANALYTICS="1", GIT_CONFIG_GLOBAL="/dev/null")
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for role in ("AUTHOR", "COMMITTER"):
        os.environ[f"GIT_{role}_NAME"], os.environ[f"GIT_{role}_EMAIL"] = "a user", "user@example.org"
    with tempfile.TemporaryDirectory() as name:
        os.environ["DVC_SITE_CACHE_DIR"] = f"{name}/site"
        return soak(Path(name), kills=given.kills, aimed=given.aimed, seed=given.seed)


if __name__ == "__main__":
    sys.exit(main())
