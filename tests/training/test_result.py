"""What a finished training leaves, read back by what reads the publishers' files."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from edsr_int8.checkpoints.convert import convert, load_network
from edsr_int8.training.branches import Branches, by_scale
from edsr_int8.training.result import write_result
from edsr_int8.training.schedule import Training
from edsr_int8.training.state import State, TrainingPoint


def finished(training: Training) -> State:
    torch.manual_seed(2)
    best, last = Branches(training.description).state_dict(), Branches(training.description).state_dict()
    return State(
        8, last, last, {}, best, [TrainingPoint(4, 9.5, 1e-3, 30.25), TrainingPoint(8, 7.25, 0.0, 29)]
    )


@pytest.mark.parametrize("source", ["official", "basicsr"])
def test_checkpoints_convert_to_the_same_network(tiny: Training, tmp_path: Path, source: str) -> None:
    state = finished(tiny)
    write_result(state, replace(tiny, source=source), tmp_path / "out")
    for file, expected in (("weights.pt", state.best), ("last.pt", state.average)):
        convert(tmp_path / "out" / file, source, tiny.description, tmp_path / "network")
        network, _ = load_network(tmp_path / "network")
        assert all(
            torch.equal(tensor, expected[f"2.{name}"]) for name, tensor in network.state_dict().items()
        )


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_one_mdsr_file_holds_every_scale(tiny: Training, tmp_path: Path, scale: int) -> None:
    mdsr = replace(tiny, network="mdsr")
    state = finished(mdsr)
    write_result(state, mdsr, tmp_path / "out")
    branch = replace(mdsr.description, scale=scale)
    convert(tmp_path / "out" / "weights.pt", "official", branch, tmp_path / "network")
    network, _ = load_network(tmp_path / "network")
    expected = dict(by_scale(state.best))[scale]
    assert all(torch.equal(tensor, expected[name]) for name, tensor in network.state_dict().items())


def test_curves_are_tables(tiny: Training, tmp_path: Path) -> None:
    write_result(finished(tiny), tiny, tmp_path)
    loss, validation = ((tmp_path / name).read_text() for name in ("loss.csv", "validation.csv"))
    assert loss.splitlines() == ["step,loss,learning_rate", "4,9.5000,1.000e-03", "8,7.2500,0.000e+00"]
    assert validation.splitlines() == ["step,psnr_db", "4,30.2500", "8,29.0000"]


def test_equal_states_give_equal_bytes(tiny: Training, tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_result(finished(tiny), tiny, tmp_path / name)
    for file in ("weights.pt", "last.pt", "loss.csv", "validation.csv"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
