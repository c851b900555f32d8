"""What DVC cannot see by itself -> build/probe: runtimes that are here, each stage's code, FID's weights."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from edsr_int8.files import write_json
from edsr_int8.metrics.fid.weights import find_weights
from edsr_int8.pipeline import layout
from edsr_int8.pipeline.code_hashes import code
from edsr_int8.pipeline.open_target import open_row
from edsr_int8.pipeline.rows import Params
from edsr_int8.pipeline.run import run


def probe(params: Params) -> None:
    for name in params.targets:
        write_json(layout.probe(name), open_row(params, name).probe())
    for script in sorted(Path("stages").glob("*.py")):
        write_json(layout.code(script.stem), code(script, Path()))
    write_json(layout.fid_probe(), probe_fid(params))


def probe_fid(params: Params) -> dict[str, Any] | None:
    if params.fid is None:
        return None
    found, partial = asdict(params.fid), layout.partial("probe", "fid")
    urls, weights, digest = found.pop("urls"), Path(params.fid.weights), params.fid.sha256
    if why := find_weights(weights, urls, sha256=digest, partial=partial, mirror=params.mirror):
        print(f"warning: fid: left out: {why}", file=sys.stderr)
    return {**found, "here": not why}


if __name__ == "__main__":
    run(probe)
