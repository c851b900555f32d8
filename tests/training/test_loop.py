"""Training as a whole on pictures of 32x24 pixels."""

import errno
import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from filelock import FileLock

from edsr_int8.errors import InputError
from edsr_int8.training import learner, loop
from edsr_int8.training.learner import Learner
from edsr_int8.training.loop import train
from edsr_int8.training.schedule import Training
from edsr_int8.training.state import State

MakePairs = Callable[..., Path]


class Killed(Exception):
    pass


def run(pairs: Path, training: Training, partial: str = "partial", validation: Path | None = None) -> State:
    return train(
        "tiny",
        training,
        datasets=[pairs],
        validation=[validation or pairs],
        partial=pairs.parent / partial,
        device="cpu",
    )


def assert_same(one: State, other: State) -> None:
    assert one.step == other.step
    assert one.curve == other.curve
    for kind in ("weights", "average", "best"):
        ours, theirs = getattr(one, kind), getattr(other, kind)
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def kill_at(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    learn = Learner.learn

    def until(self: Learner, *crops: object) -> None:
        if self.state.step == step:
            raise Killed
        learn(self, *crops)

    monkeypatch.setattr(Learner, "learn", until)


def test_each_validation_is_told(
    make_pairs: MakePairs, tiny: Training, capsys: pytest.CaptureFixture[str]
) -> None:
    run(make_pairs(), tiny)
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(":")[0] for line in lines] == [f"step {n} of 12" for n in (4, 8, 12)]
    assert re.fullmatch(
        r".* loss [\d.]+, validation [\d.]+ dB, [\d.e+]+ steps a second, 00:00 left", lines[-1]
    )


def test_loss_falls_and_quality_rises(make_pairs: MakePairs, tiny: Training) -> None:
    curve = run(make_pairs(), replace(tiny, steps=60, validate_every=20, learning_rate=5e-3)).curve
    assert [point.step for point in curve] == [20, 40, 60]
    assert curve[2].loss < 0.7 * curve[0].loss
    assert curve[2].val_psnr_db > curve[0].val_psnr_db + 1


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("killed_at", [3, 4, 7, 11])
def test_killed_and_resumed_equals_unbroken_bit_for_bit(
    make_pairs: MakePairs, tiny: Training, monkeypatch: pytest.MonkeyPatch, killed_at: int, precision: str
) -> None:
    pairs, training = make_pairs(), replace(tiny, precision=precision)
    unbroken = run(pairs, training, "unbroken")
    with monkeypatch.context() as patch, pytest.raises(Killed):
        kill_at(killed_at, patch)
        run(pairs, training)
    assert_same(run(pairs, training), unbroken)


def test_finished_run_is_not_repeated(
    make_pairs: MakePairs, tiny: Training, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = make_pairs()
    first = run(pairs, tiny)
    kill_at(0, monkeypatch)
    assert_same(run(pairs, tiny), first)


@pytest.mark.parametrize("change", [{"steps": 13}, {"seed": 1}, {"learning_rate": 1e-3}])
def test_state_of_another_run_is_left_alone(
    make_pairs: MakePairs, tiny: Training, change: dict[str, float]
) -> None:
    pairs, training = make_pairs(), replace(tiny, **change)
    run(pairs, tiny)
    assert_same(run(pairs, training), run(pairs, training, "fresh"))


def test_other_validation_images_are_another_run(make_pairs: MakePairs, tiny: Training) -> None:
    """Its curve and its best weights are of these images."""
    pairs, others = make_pairs(), make_pairs("others", seed=9)
    run(pairs, tiny)
    again = run(pairs, tiny, validation=others)
    assert_same(again, run(pairs, tiny, partial="fresh", validation=others))


def test_best_is_the_average_of_the_highest_psnr(
    make_pairs: MakePairs, tiny: Training, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of validations at steps 4, 8 and 12 the second is the best: a run stopped there tells what it saw."""
    pairs, scores = make_pairs(), iter((20.0, 30.0, 25.0))
    with monkeypatch.context() as patch, pytest.raises(Killed):
        kill_at(8, patch)
        run(pairs, tiny, partial="stopped")
    at_8 = torch.load(pairs.parent / "stopped" / "checkpoint.pt", weights_only=True)["state"]["average"]
    monkeypatch.setattr(learner, "validate", lambda *_: next(scores))
    state = run(pairs, tiny)
    assert all(torch.equal(state.best[name], at_8[name]) for name in at_8)
    assert not torch.equal(state.average["2.head.weight"], at_8["2.head.weight"])


def test_seed_decides_the_weights(make_pairs: MakePairs, tiny: Training) -> None:
    pairs = make_pairs()
    torch.manual_seed(99)  # must not matter
    one, same, other = (
        run(pairs, replace(tiny, steps=1, seed=s), n) for s, n in ((1, "a"), (1, "b"), (2, "c"))
    )
    assert_same(one, same)
    assert not torch.equal(one.weights["2.head.weight"], other.weights["2.head.weight"])


def test_loss_that_is_no_number_stops_and_keeps_the_checkpoint(
    make_pairs: MakePairs, tiny: Training, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = make_pairs()
    cut = loop.crops

    def poisoned(*args: object, step: int, **options: object) -> object:
        low, high = cut(*args, step=step, **options)
        return (low * float("nan") if step >= 5 else low), high

    monkeypatch.setattr(loop, "crops", poisoned)
    told = r"^training\.tiny: learning_rate: 0\.002 let the loss become nan by step 8; .* step 4 is kept$"
    with pytest.raises(InputError, match=told):
        run(pairs, tiny)
    kept = torch.load(pairs.parent / "partial" / "checkpoint.pt", weights_only=True)["state"]
    assert kept["step"] == 4
    assert all(tensor.isfinite().all() for tensor in kept["weights"].values())


@pytest.mark.parametrize("broken_at", [4, 8])
def test_weights_that_break_at_the_last_update_are_not_kept(
    make_pairs: MakePairs, tiny: Training, monkeypatch: pytest.MonkeyPatch, broken_at: int
) -> None:
    """The loss of that step, taken before, is a number still."""
    pairs, follow = make_pairs(), Learner._update_average

    def broken(self: Learner, step: int) -> None:
        if step == broken_at - 1:
            next(self.module.parameters()).data.fill_(float("nan"))
        follow(self, step)

    with monkeypatch.context() as patch:
        patch.setattr(Learner, "_update_average", broken)
        with pytest.raises(
            InputError, match=f"let the validation images become infinite or NaN by step {broken_at}; "
        ):
            run(pairs, tiny)
    checkpoint = pairs.parent / "partial" / "checkpoint.pt"
    assert checkpoint.exists() == (broken_at == 8)
    assert_same(run(pairs, tiny), run(pairs, tiny, partial="unbroken"))


def test_validation_images_that_shaving_leaves_nothing_of_are_refused(
    make_pairs: MakePairs, tiny: Training
) -> None:
    small = make_pairs("small", height=4, width=8)
    with pytest.raises(
        InputError, match=r"^training\.tiny: validation: 0 is 4x2 pixels, too small .* shaves 2"
    ):
        run(make_pairs(), tiny, validation=small)


def test_a_second_process_at_the_same_row_is_refused(make_pairs: MakePairs, tiny: Training) -> None:
    pairs = make_pairs()
    (pairs.parent / "partial").mkdir()
    with (
        FileLock(pairs.parent / "partial" / "lock"),
        pytest.raises(InputError, match=r"^training\.tiny: .*another process trains there"),
    ):
        run(pairs, tiny)
    run(pairs, tiny)


def test_a_foreign_file_in_place_of_the_checkpoint_is_another_run(
    make_pairs: MakePairs, tiny: Training
) -> None:
    pairs = make_pairs()
    (pairs.parent / "partial").mkdir()
    torch.save({"weight": torch.zeros(1)}, pairs.parent / "partial" / "checkpoint.pt")
    assert run(pairs, tiny).step == tiny.steps


def test_full_disk_at_a_checkpoint_keeps_the_last_one(
    make_pairs: MakePairs, tiny: Training, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = make_pairs()
    write = Path.write_bytes

    def full(self: Path, data: bytes) -> int:
        if "checkpoint" in self.name and (pairs.parent / "partial" / "checkpoint.pt").exists():
            write(self, data[: len(data) // 2])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(self, data)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        with pytest.raises(InputError, match=r"^training\.tiny: .*checkpoint\.pt: the disk is full"):
            run(pairs, tiny)
    kept = torch.load(pairs.parent / "partial" / "checkpoint.pt", weights_only=True)["state"]
    assert kept["step"] == 4
    assert_same(run(pairs, tiny), run(pairs, tiny, partial="unbroken"))


def test_damaged_checkpoint_is_refused(make_pairs: MakePairs, tiny: Training) -> None:
    pairs = make_pairs()
    path = pairs.parent / "partial" / "checkpoint.pt"
    path.parent.mkdir()
    path.write_bytes(b"PK\x03\x04 cut short")
    with pytest.raises(
        InputError, match=r"checkpoint\.pt: a damaged checkpoint; delete it to train from the start"
    ):
        run(pairs, tiny)


def test_errors_name_the_row(make_pairs: MakePairs, tiny: Training) -> None:
    with pytest.raises(InputError, match=r"^training\.tiny: patch: 40 is larger than lr of 0, 16x12"):
        run(make_pairs(), replace(tiny, patch=40))
