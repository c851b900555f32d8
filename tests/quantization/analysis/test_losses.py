"""sensitivity.csv: what is written is read, and what is damaged is refused in one line."""

from pathlib import Path

import pytest

from edsr_int8.errors import InputError
from edsr_int8.quantization.analysis.losses import Loss, alone, decibels, read_losses, write_losses

LOSSES = [
    Loss("all", "all", 2.5),
    Loss("head", "tensor", 0.5),
    Loss("head", "weights", 1e-05),
]


def test_file_gives_back_what_was_written(tmp_path: Path) -> None:
    write_losses(tmp_path / "s.csv", LOSSES)
    assert read_losses(tmp_path / "s.csv") == LOSSES
    assert (tmp_path / "s.csv").read_text().startswith("name,kind,alone_mse\nall,all,2.5\n")


def test_losses_alone_by_kind() -> None:
    assert alone(LOSSES, "tensor") == {"head": 0.5}
    assert alone(LOSSES, "weights") == {"head": 1e-05}


def test_decibels_are_psnr_and_an_identical_pair_counts_as_100() -> None:
    assert decibels(1.0) == pytest.approx(48.1308, abs=1e-4)
    assert decibels(0.0) == 100


HEADER = b"name,kind,alone_mse\n"


@pytest.mark.parametrize(
    "content",
    [
        HEADER + b"head,tensor",  # cut in a row
        HEADER + b"head",
        b"name,alone_mse\nhead,0.5\n",  # a column is missing
        HEADER + b"head,tensor,much\n",
        HEADER + b"\xff\xfe",  # no text
    ],
)
def test_damaged_table_is_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "s.csv").write_bytes(content)
    with pytest.raises(InputError, match=r"s\.csv: not what sensitivity writes .*run it again") as refused:
        read_losses(tmp_path / "s.csv")
    assert "\n" not in str(refused.value)


def test_missing_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="run the sensitivity stage"):
        read_losses(tmp_path / "s.csv")
