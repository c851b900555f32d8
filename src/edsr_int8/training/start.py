"""The weights that a training starts from."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from edsr_int8.checkpoints.read import read_state_dict
from edsr_int8.checkpoints.sources import SOURCES
from edsr_int8.errors import InputError
from edsr_int8.training.branches import Branches, by_scale
from edsr_int8.training.schedule import Training
from edsr_int8.training.state import Weights

TRUNK = ("head.", "body.", "body_end.")


def start_from(training: Training, branches: Branches) -> None:
    """Load the tensors of checkpoint `training.start` that fit in name and shape; the others stay random.

    So x3 and x4 start from the trunk of x2, as in EDSR-PyTorch (src/model/edsr.py, load_state_dict).
    InputError: the trunk does not fit.
    """
    path = Path(training.start)
    foreign = read_state_dict(path)
    for scale, own in by_scale(branches.state_dict()):
        names = SOURCES[training.source].names(replace(training.description, scale=scale))
        branches.of(scale).load_state_dict(_fitting(foreign, own, names, path), strict=False)


def _fitting(foreign: Weights, own: Weights, names: Mapping[str, str], path: Path) -> Weights:
    fitting = {
        ours: foreign[theirs]
        for ours, theirs in names.items()
        if theirs in foreign and foreign[theirs].shape == own[ours].shape
    }
    if missing := [ours for ours in own if ours.startswith(TRUNK) and ours not in fitting]:
        raise InputError(
            f"start: {path} has no {names[missing[0]]} of shape {tuple(own[missing[0]].shape)}; "
            "source, features and blocks must be those of this row"
        )
    return fitting
