"""The network in training: MDSR's three scales learn together, `direct` learns at all."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from edsr_int8.data.images import write_png
from edsr_int8.models.complexity import parameters
from edsr_int8.models.description import Description
from edsr_int8.training.branches import Branches
from edsr_int8.training.crops import crops
from edsr_int8.training.learner import Learner
from edsr_int8.training.pixels import decode
from edsr_int8.training.schedule import Training


def pairs(folder: Path, scale: int) -> Path:
    """Stripes, and their every `scale`-th pixel."""
    high = np.zeros((48, 48, 3), np.uint8)
    high[:, ::12] = high[::16] = 200
    write_png(folder / f"x{scale}" / "hr" / "a.png", high)
    write_png(folder / f"x{scale}" / "lr" / "a.png", np.ascontiguousarray(high[::scale, ::scale]))
    return folder / f"x{scale}"


def test_published_mdsr_has_its_published_size() -> None:
    """3.23 M parameters: EDSR-PyTorch's mdsr_baseline holds three scales."""
    mdsr = Description("mdsr", features=64, blocks=16, scale=2, res_scale=1.0, upsampler="pixelshuffle")
    assert sum(p.numel() for p in Branches(mdsr).parameters()) == pytest.approx(3.23e6, rel=2e-3)


def test_edsr_has_one_branch_of_all_its_parameters(tiny: Training) -> None:
    assert sum(p.numel() for p in Branches(tiny.description).parameters()) == parameters(tiny.description)


def test_mdsr_batches_have_one_scale_and_every_scale_comes(tmp_path: Path) -> None:
    pixels = decode([pairs(tmp_path, s) for s in (2, 3, 4)], scales=(2, 3, 4), store=tmp_path / "store")
    drawn = [crops(pixels, batch=3, patch=8, seed=0, step=step) for step in range(30)]
    assert {high.shape[1] // low.shape[1] for low, high in drawn} == {2, 3, 4}


def test_a_batch_of_one_scale_moves_what_all_share_and_no_other_branch(
    tiny: Training, tmp_path: Path
) -> None:
    learner = Learner(replace(tiny, network="mdsr"), device="cpu")
    before = {name: tensor.clone() for name, tensor in learner.module.state_dict().items()}
    pixels = decode([pairs(tmp_path, 3)], scales=(3,), store=tmp_path / "store")
    learner.learn(*crops(pixels, batch=2, patch=8, seed=0, step=0))
    after = learner.module.state_dict()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert {name for name in moved if "pre." in name or "upsample." in name} <= {
        n for n in before if n[0] == "3"
    }
    assert {"2.head.weight", "3.head.weight", "4.head.weight", "3.upsample.0.weight"} <= moved


@pytest.mark.parametrize(
    ("network", "upsampler"), [("edsr", "direct"), ("edsr", "pixelshuffle"), ("mdsr", "pixelshuffle")]
)
def test_every_network_learns(tiny: Training, tmp_path: Path, network: str, upsampler: str) -> None:
    training = replace(tiny, network=network, upsampler=upsampler, steps=40, learning_rate=5e-3, warmup=0)
    pixels = decode([pairs(tmp_path, 2)], scales=(2,), store=tmp_path / "store")
    learner, losses = Learner(training, device="cpu"), []
    for step in range(training.steps):
        before = float(learner.loss_sum)
        learner.learn(*crops(pixels, batch=2, patch=8, seed=0, step=step))
        losses.append(float(learner.loss_sum) - before)
    assert np.mean(losses[-5:]) < 0.6 * np.mean(losses[:5])
