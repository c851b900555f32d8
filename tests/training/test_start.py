"""Starting from a checkpoint: x3 takes x2's trunk, as EDSR-PyTorch does."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from edsr_int8.checkpoints.write import write_checkpoint
from edsr_int8.errors import InputError
from edsr_int8.models.build import build
from edsr_int8.models.description import Description
from edsr_int8.training.branches import Branches
from edsr_int8.training.start import start_from


@pytest.fixture
def x2(tiny: Description, tmp_path: Path) -> Path:
    write_checkpoint(build(tiny).state_dict(), "official", tiny, tmp_path / "x2.pt")
    return tmp_path / "x2.pt"


def test_same_network_gets_every_tensor(x2: Path, tiny: Description) -> None:
    theirs, branches = torch.load(x2, weights_only=True), Branches(tiny)
    start_from(x2, "official", tiny, branches)
    assert torch.equal(branches.of(2).head.bias, theirs["head.0.bias"])
    assert torch.equal(branches.of(2).body[0].conv2.weight, theirs["body.0.body.2.weight"])
    assert torch.equal(branches.of(2).upsample[0].weight, theirs["tail.0.0.weight"])
    assert torch.equal(branches.of(2).tail.weight, theirs["tail.1.weight"])


def test_x3_takes_the_trunk_and_keeps_its_own_upsampler(x2: Path, tiny: Description) -> None:
    description = replace(tiny, scale=3)
    theirs, branches = torch.load(x2, weights_only=True), Branches(description)
    own = branches.of(3).upsample[0].weight.clone()
    start_from(x2, "official", description, branches)
    assert torch.equal(branches.of(3).body_end.weight, theirs["body.1.weight"])
    assert torch.equal(branches.of(3).upsample[0].weight, own)


@pytest.mark.parametrize(
    ("source", "change"), [("official", {"features": 16}), ("official", {"blocks": 2}), ("basicsr", {})]
)
def test_trunk_that_does_not_fit_is_refused(
    x2: Path, tiny: Description, source: str, change: dict[str, int]
) -> None:
    description = replace(tiny, **change)
    with pytest.raises(InputError, match=r"start: .*x2\.pt has no .* must be those of this row"):
        start_from(x2, source, description, Branches(description))
