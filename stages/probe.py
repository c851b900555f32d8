"""What DVC cannot see by itself -> build/probe: which runtimes are here, what each stage runs and reads."""

import sys
from pathlib import Path

from edsr_int8.files import sha256, write_json
from edsr_int8.metrics.fid.weights import find_weights
from edsr_int8.pipeline import layout
from edsr_int8.pipeline.code_hashes import code
from edsr_int8.pipeline.open_target import open_row
from edsr_int8.pipeline.rows import Fid, Params
from edsr_int8.pipeline.run import run
from edsr_int8.pipeline.settings import settings


def probe(params: Params) -> None:
    targets = {name: open_row(params, name).probe() for name in params.targets}
    for name, facts in targets.items():
        write_json(layout.probe(name), facts)
    write_json(layout.all_targets_probe(), targets)
    for script in sorted(Path("stages").glob("*.py")):
        write_json(layout.code(script.stem), code(script, Path()))
    found = settings(params)
    if params.fid:
        found[layout.fid_probe()] |= {"here": fid_is_here(params.fid, params.mirror)}
    for name, model in params.models.items():
        found[layout.checkpoint_probe(name)] |= {"weights_sha256": own_sha256(model.weights)}
    for name, training in params.training.items():
        found[layout.start_probe(name)] = {"weights_sha256": own_sha256(training.start)}
    for path, value in found.items():
        write_json(path, value)


def own_sha256(weights: str) -> str | None:
    """The hash of a checkpoint of one's own; None for one that a stage makes, which nobody edits in place.

    DVC knows a file by its time and length, and takes another file with these for the same.
    """
    path = Path(weights)
    made = any(path.is_relative_to(folder) for folder in (layout.BUILD, layout.FETCHED))
    return sha256(path) if path.is_file() and not made else None


def fid_is_here(fid: Fid, mirror: str) -> bool:
    """Whether the weights of the section `fid` are here, or could be fetched; stderr says why not."""
    why_not = find_weights(
        Path(fid.weights), fid.urls, sha256=fid.sha256, partial=layout.partial("probe", "fid"), mirror=mirror
    )
    if why_not:
        print(f"warning: fid: left out: {why_not}", file=sys.stderr)
    return not why_not


if __name__ == "__main__":
    run(probe)
