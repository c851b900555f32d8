"""Starting from a checkpoint: x3 takes x2's trunk, as EDSR-PyTorch does."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from edsr_int8.checkpoints.write import write_checkpoint
from edsr_int8.errors import InputError
from edsr_int8.models.build import build
from edsr_int8.training.branches import Branches
from edsr_int8.training.schedule import Training
from edsr_int8.training.start import start_from


@pytest.fixture
def x2(tiny: Training, tmp_path: Path) -> Path:
    network = build(tiny.description)
    write_checkpoint({2: network.state_dict()}, "official", tiny.description, tmp_path / "x2.pt")
    return tmp_path / "x2.pt"


def test_same_network_gets_every_tensor(x2: Path, tiny: Training) -> None:
    theirs, branches = torch.load(x2, weights_only=True), Branches(tiny.description)
    start_from(replace(tiny, start=str(x2)), branches)
    assert torch.equal(branches.of(2).head.bias, theirs["head.0.bias"])
    assert torch.equal(branches.of(2).body[0].conv2.weight, theirs["body.0.body.2.weight"])
    assert torch.equal(branches.of(2).upsample[0].weight, theirs["tail.0.0.weight"])
    assert torch.equal(branches.of(2).tail.weight, theirs["tail.1.weight"])


def test_x3_takes_the_trunk_and_keeps_its_own_upsampler(x2: Path, tiny: Training) -> None:
    training = replace(tiny, scale=3, start=str(x2))
    theirs, branches = torch.load(x2, weights_only=True), Branches(training.description)
    own = branches.of(3).upsample[0].weight.clone()
    start_from(training, branches)
    assert torch.equal(branches.of(3).body_end.weight, theirs["body.1.weight"])
    assert torch.equal(branches.of(3).upsample[0].weight, own)


@pytest.mark.parametrize(
    "change", [{"features": 16}, {"blocks": 2}, {"source": "basicsr"}], ids=["features", "blocks", "source"]
)
def test_trunk_that_does_not_fit_is_refused(x2: Path, tiny: Training, change: dict[str, Any]) -> None:
    training = replace(tiny, start=str(x2), **change)
    with pytest.raises(InputError, match=r"start: .*x2\.pt has no .* must be those of this row"):
        start_from(training, Branches(training.description))
