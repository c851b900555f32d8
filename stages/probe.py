"""build/probe/<target>.json: which runtimes are here, and what of this machine changes their results."""

from edsr_int8 import layout
from edsr_int8.files import write_json
from edsr_int8.params import Params
from stages.run import run
from stages.target import open_row


def probe(params: Params) -> None:
    for name in params.targets:
        write_json(layout.probe(name), open_row(params, name).probe())


if __name__ == "__main__":
    run(probe)
