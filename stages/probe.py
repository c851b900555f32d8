"""What DVC cannot see by itself -> build/probe: the runtimes that are here, the code that each stage runs."""

from pathlib import Path

from edsr_int8 import layout
from edsr_int8.files import write_json
from edsr_int8.imports import code
from edsr_int8.params import Params
from stages.run import run
from stages.target import open_row


def probe(params: Params) -> None:
    for name in params.targets:
        write_json(layout.probe(name), open_row(params, name).probe())
    for script in sorted(Path("stages").glob("*.py")):
        write_json(layout.code(script.stem), code(script, Path()))


if __name__ == "__main__":
    run(probe)
