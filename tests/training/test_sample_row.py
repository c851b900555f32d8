"""A row of 200 steps on the sample photographs, from pictures to a checkpoint that converts."""

from pathlib import Path

import pytest

from edsr_int8.checkpoints.convert import convert
from edsr_int8.data.pairs.dataset import make_dataset
from edsr_int8.data.sample import make_sample
from edsr_int8.models.description import Description
from edsr_int8.training.loop import train
from edsr_int8.training.options import TrainingOptions
from edsr_int8.training.result import write_result

NETWORK = Description("edsr", features=16, blocks=2, scale=2, res_scale=1.0, upsampler="pixelshuffle")
OPTIONS = TrainingOptions(
    steps=200, batch=4, patch=16, learning_rate=2e-3, warmup=20, ema=0.9, seed=1, validate_every=100
)


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sample")
    make_sample(folder / "photographs")
    for part, limit in (("calibration", 0), ("evaluation", 1)):
        make_dataset(
            part,
            folder / "photographs",
            folder / part,
            task="sr",
            scale=2,
            hr=f"{part}/*.png",
            lr="",
            limit=limit,
        )
    return folder


def test_200_steps_learn_the_photographs(sample: Path, tmp_path: Path) -> None:
    """A flat grey picture has 11 dB on the held-out photograph; bicubic enlargement 32 dB."""
    state = train(
        "sample",
        NETWORK,
        OPTIONS,
        source="official",
        training=[sample / "calibration"],
        validation=[sample / "evaluation"],
        partial=tmp_path / "partial",
        device="cpu",
    )
    first, last = state.curve
    assert (first.step, last.step) == (100, 200)
    assert last.loss < 0.5 * first.loss
    assert last.val_psnr_db > 25
    write_result(state, NETWORK, source="official", out=tmp_path / "out")
    facts = convert(tmp_path / "out" / "weights.pt", "official", NETWORK, tmp_path / "network")
    assert facts.receptive_radius > 0
