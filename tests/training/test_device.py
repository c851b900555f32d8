"""Training on any device: a run that was killed ends in the bytes of one that was not."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from edsr_int8.training.crops import crops
from edsr_int8.training.device import Replayed
from edsr_int8.training.learner import Learner
from edsr_int8.training.loop import train
from edsr_int8.training.pixels import decode
from edsr_int8.training.schedule import Training
from edsr_int8.training.state import State


def run(pairs: Path, training: Training, partial: str, device: str) -> State:
    return train(
        "tiny", training, datasets=[pairs], validation=[pairs], partial=pairs.parent / partial, device=device
    )


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_killed_and_resumed_equals_unbroken(
    make_pairs: Callable[..., Path],
    tiny: Training,
    monkeypatch: pytest.MonkeyPatch,
    device: str,
    precision: str,
) -> None:
    pairs, training = make_pairs(), replace(tiny, precision=precision)
    unbroken, learn = run(pairs, training, "unbroken", device), Learner.learn

    def killed_at_6(self: Learner, *crops: object) -> None:
        if self.state.step == 6:
            raise KeyboardInterrupt
        learn(self, *crops)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Learner, "learn", killed_at_6)
        run(pairs, training, "killed", device)
    resumed = run(pairs, training, "killed", device)
    assert resumed.curve == unbroken.curve
    assert all(torch.equal(resumed.weights[name], tensor) for name, tensor in unbroken.weights.items())


def test_training_ends_near_that_of_the_cpu(
    make_pairs: Callable[..., Path], tiny: Training, device: str
) -> None:
    pairs = make_pairs()
    ends = [run(pairs, tiny, each, each).curve[-1].val_psnr_db for each in {device, "cpu"}]
    assert max(ends) - min(ends) < 0.05


def test_a_replayed_step_has_the_gradients_of_a_plain_one(
    make_pairs: Callable[..., Path], tiny: Training
) -> None:
    if not torch.cuda.is_available():
        pytest.skip("needs a GPU that torch finds")
    pixels = decode([make_pairs()], scales=[2], store=make_pairs().parent / "store")
    learner = Learner(tiny, device="cuda")
    assert isinstance(learner.backward, Replayed)
    for step in range(3):
        batch = crops(pixels, batch=2, patch=8, seed=0, step=step)
        low, high = (torch.from_numpy(part).cuda() for part in batch)
        plain = learner.backward.backward(low, high).clone()
        gradients = [p.grad.clone() for p in learner.module.parameters() if p.grad is not None]
        torch.testing.assert_close(learner.backward(low, high), plain)
        replayed = [p.grad for p in learner.module.parameters() if p.grad is not None]
        torch.testing.assert_close(replayed, gradients)
