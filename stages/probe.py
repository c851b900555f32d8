"""What DVC cannot see by itself -> build/probe: which runtimes are here, which code and stages are needed."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from edsr_int8.files import write_json
from edsr_int8.metrics.fid.weights import find_weights
from edsr_int8.pipeline import layout
from edsr_int8.pipeline.code_hashes import code
from edsr_int8.pipeline.needs import needed_stages
from edsr_int8.pipeline.open_target import open_row
from edsr_int8.pipeline.rows import Params
from edsr_int8.pipeline.run import run


def probe(params: Params) -> None:
    targets = {name: open_row(params, name).probe() for name in params.targets}
    for name, found in targets.items():
        write_json(layout.probe(name), found)
    write_json(layout.all_targets_probe(), targets)
    for script in sorted(Path("stages").glob("*.py")):
        write_json(layout.code(script.stem), code(script, Path()))
    write_json(layout.needs(), needed_stages(params))
    write_json(layout.fid_probe(), probe_fid(params))


def probe_fid(params: Params) -> dict[str, Any] | None:
    """What the section `fid` asks for, but where to fetch it from, and whether its weights are here."""
    fid = params.fid
    if fid is None:
        return None
    why_not = find_weights(
        Path(fid.weights),
        fid.urls,
        sha256=fid.sha256,
        partial=layout.partial("probe", "fid"),
        mirror=params.mirror,
    )
    if why_not:
        print(f"warning: fid: left out: {why_not}", file=sys.stderr)
    asked = asdict(fid)
    del asked["urls"]
    return {**asked, "here": not why_not}


if __name__ == "__main__":
    run(probe)
