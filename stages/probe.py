"""build/probe/: which runtimes are here, what of this machine changes their results, and FID's weights."""

from dataclasses import asdict
from pathlib import Path

from edsr_int8 import layout
from edsr_int8.files import write_json
from edsr_int8.metrics.fid_weights import find_weights
from edsr_int8.params import Params
from stages.run import run
from stages.target import open_row


def probe(params: Params) -> None:
    for name in params.targets:
        write_json(layout.probe(name), open_row(params, name).probe())
    found = None
    if params.fid:
        found = asdict(params.fid)
        urls, weights, partial = found.pop("urls"), Path(params.fid.weights), layout.partial("probe", "fid")
        found["here"] = find_weights(
            weights, urls, sha256=params.fid.sha256, partial=partial, mirror=params.mirror
        )
    write_json(layout.fid_probe(), found)


if __name__ == "__main__":
    run(probe)
