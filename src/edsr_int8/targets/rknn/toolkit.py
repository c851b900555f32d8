"""Rockchip's toolkit in its own Python, as a process that compiles one model and then runs images."""

import functools
import io
import json
import re
import subprocess
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from onnx import ModelProto

from edsr_int8.targets.base import Unavailable, one_line
from edsr_int8.targets.rknn import driver

VERSION = "import importlib.metadata as m; print(m.version('rknn-toolkit2'))"
# A row of the table that the toolkit prints: number, operation, type, where it runs, ..., Kind:name.
OPERATION = re.compile(r"RKNN: \[[^]]*\] +\d+ +(\w+) +(\w+) +(CPU|GPU|NPU) .*?(?:\w+:(\S+))? *$")


@dataclass(frozen=True)
class Operation:
    """One operation of the compiled model. `name`: of the node that it was made of; '': of none."""

    kind: str
    type: str  # INT8, FLOAT16, ...
    place: str  # CPU, GPU or NPU
    name: str


@functools.cache
def version_in(python: str) -> str:
    """The toolkit's version in the environment of `python`; '' where it has none, or is no file."""
    try:
        done = subprocess.run([python, "-c", VERSION], capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


class Toolkit:
    """A compiled model. Unavailable, with the toolkit's own words: it cannot compile or run it."""

    def __init__(self, python: str, model: ModelProto, platform: str) -> None:
        folder = TemporaryDirectory()
        self.folder = Path(folder.name)
        self.compiled = self.folder / "model.rknn"
        source = self.folder / "model.onnx"
        source.write_bytes(model.SerializeToString(deterministic=True))
        command = [python, driver.__file__, source.name, platform, self.compiled.name]
        with (self.folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                command, cwd=self.folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log
            )
        weakref.finalize(self, _end, self.process, folder)
        self.facts = json.loads(self._answer())

    def __call__(self, image: np.ndarray) -> np.ndarray:
        content = io.BytesIO()
        np.save(content, image)
        assert self.process.stdin
        try:
            driver.write_frame(self.process.stdin, content.getvalue())  # type: ignore[arg-type]
        except BrokenPipeError:
            raise Unavailable(self._why()) from None
        made: np.ndarray = np.load(io.BytesIO(self._answer()), allow_pickle=False)
        return made

    def operations(self) -> list[Operation]:
        """What the compiled model consists of, from what the toolkit printed."""
        found = filter(None, map(OPERATION.search, self._log()))
        return [
            Operation(kind, type, place, name or "")
            for kind, type, place, name in map(re.Match.groups, found)
        ]

    def _answer(self) -> bytes:
        assert self.process.stdout
        if not (frame := driver.read_frame(self.process.stdout)):  # type: ignore[arg-type]
            raise Unavailable(self._why())
        return frame

    def _why(self) -> str:
        said = [line for line in self._log() if "rror" in line or line.startswith("E ") or "failed" in line]
        return f"rknn stopped: {one_line(RuntimeError(' '.join((said or self._log())[-1:])))}"

    def _log(self) -> Sequence[str]:
        return (self.folder / "log").read_text(encoding="utf-8", errors="replace").splitlines()


def _end(process: subprocess.Popen[bytes], folder: TemporaryDirectory[str]) -> None:
    process.kill()
    process.wait()
    folder.cleanup()
