"""A row of 200 steps on the sample photographs, from pictures to a checkpoint that converts."""

from dataclasses import replace
from pathlib import Path

import pytest

from edsr_int8.checkpoints.convert import convert
from edsr_int8.data.pairs.dataset import make_dataset
from edsr_int8.data.pairs.row import DatasetRow
from edsr_int8.data.sample import make_sample
from edsr_int8.training.loop import train
from edsr_int8.training.result import write_result
from edsr_int8.training.schedule import Training


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sample")
    make_sample(folder / "photographs")
    for part, limit in (("calibration", 0), ("evaluation", 1)):
        photographs = str(folder / "photographs")
        make_dataset(DatasetRow("sr", 2, photographs, f"{part}/*.png", "", limit), folder / part)
    return folder


def test_200_steps_learn_the_photographs(sample: Path, tiny: Training, tmp_path: Path) -> None:
    """A flat grey picture has 11 dB on the held-out photograph; bicubic enlargement 32 dB."""
    training = replace(
        tiny,
        features=16,
        blocks=2,
        steps=200,
        batch=4,
        patch=16,
        warmup=20,
        ema=0.9,
        seed=1,
        validate_every=100,
    )
    state = train(
        "sample",
        training,
        datasets=[sample / "calibration"],
        validation=[sample / "evaluation"],
        partial=tmp_path / "partial",
        device="cpu",
    )
    first, last = state.curve
    assert (first.step, last.step) == (100, 200)
    assert last.loss < 0.5 * first.loss
    assert last.val_psnr_db > 25
    write_result(state, training, tmp_path / "out")
    weights = tmp_path / "out" / "weights.pt"
    facts = convert(weights, training.source, training.description, tmp_path / "network")
    assert facts.receptive_radius > 0
