"""What DVC cannot see by itself -> build/probe: which runtimes are here, which code and stages are needed."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from edsr_int8.files import sha256, write_json
from edsr_int8.metrics.fid.weights import find_weights
from edsr_int8.pipeline import layout
from edsr_int8.pipeline.code_hashes import code
from edsr_int8.pipeline.needs import needed_stages, needed_structures
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
    write_json(layout.structures(), [asdict(structure) for structure in needed_structures(params)])
    write_json(layout.fid_probe(), probe_fid(params))
    for name, model in params.models.items():
        may_be_left_out = {"img_range": model.img_range, "rgb_mean": model.rgb_mean, "sha256": model.sha256}
        own = {"weights_sha256": own_sha256(model.weights)}
        write_json(layout.checkpoint_probe(name), may_be_left_out | own)
    for name, training in params.training.items():
        write_json(layout.start_probe(name), {"weights_sha256": own_sha256(training.start)})


def own_sha256(weights: str) -> str | None:
    """The hash of a checkpoint of one's own; None for one that a stage makes, which nobody edits in place.

    DVC knows a file by its time and length, and takes another file with these for the same.
    """
    path = Path(weights)
    made = any(path.is_relative_to(folder) for folder in (layout.BUILD, layout.FETCHED))
    return sha256(path) if path.is_file() and not made else None


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
