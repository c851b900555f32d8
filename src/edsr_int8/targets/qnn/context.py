"""Context binaries: a build compiled ahead of time for one generation of HTP; the device only loads it.

The plugin numbers the graphs of a process, and the number is in the file: equal bytes need a fresh process.
"""

import os
import shutil
import tempfile
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from edsr_int8.ending import end_on_signals
from edsr_int8.targets.base import Unavailable
from edsr_int8.targets.qnn.session import Shape, open_session

# HTP generations, and a chip of each: Snapdragon 888, 8 Gen 1, 8 Gen 2, 8 Gen 3, 8 Elite, 8 Elite Gen 5.
ARCHITECTURES = ("68", "69", "73", "75", "79", "81")


def write_contexts(model: Path, shape: Shape, out: Path) -> None:
    """Write `out`/v<architecture>.onnx, and beside it the binary that it names, for each of ARCHITECTURES.

    Unavailable: the compiler fails.
    """
    ending = partial(end_on_signals, with_parent=True)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=ending) as pool:
        try:
            pool.submit(_compile, model.resolve(), shape, out.resolve()).result()
        except BrokenProcessPool:
            raise Unavailable(f"qnn: the compiler's process died on {model}") from None


def _compile(model: Path, shape: Shape, out: Path) -> None:
    """The entry of the process. The paths that the plugin gets are relative: they are in its files."""
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for architecture in ARCHITECTURES:
            config = {
                "ep.context_enable": "1",
                "ep.context_file_path": f"v{architecture}.onnx",
                "ep.context_embed_mode": "0",
            }
            open_session(model, shape, architecture, config=config)
        for path in sorted(Path().iterdir()):
            shutil.move(path, out / path.name)
