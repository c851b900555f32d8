"""Files that torch wrote, files that it did not, and files that want to run something."""

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from edsr_int8.checkpoints.read import read_state_dict
from edsr_int8.errors import InputError

STATE = {"a.weight": torch.arange(600.0).view(20, 30), "a.bias": torch.ones(3)}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "weights.pt"


def refusal(path: Path) -> str:
    """What reading says: one line that begins with the file."""
    with pytest.raises(InputError) as caught:
        read_state_dict(path)
    text = str(caught.value)
    assert text.startswith(f"{path}: ") and "\n" not in text
    return text.removeprefix(f"{path}: ")


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize(
    "wrap", [lambda s: s, lambda s: {"params": s}, lambda s: {"params_ema": s, "params": {}}]
)
def test_every_layout_gives_the_tensors(path: Path, zipped: bool, wrap) -> None:
    torch.save(wrap(STATE), path, _use_new_zipfile_serialization=zipped)
    torch.testing.assert_close(read_state_dict(path), STATE, rtol=0, atol=0)


def test_the_average_is_preferred(path: Path) -> None:
    torch.save({"params": {"a": torch.zeros(1)}, "params_ema": {"a": torch.ones(1)}}, path)
    assert read_state_dict(path)["a"] == 1


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_become_float32(path: Path, kind: torch.dtype) -> None:
    torch.save({"a": torch.tensor([0.5, -2.0], dtype=kind)}, path)
    (tensor,) = read_state_dict(path).values()
    assert tensor.dtype == torch.float32 and tensor.tolist() == [0.5, -2.0]


def test_parameters_and_views_are_plain_tensors(path: Path) -> None:
    torch.save({"a": torch.nn.Parameter(torch.ones(2)), "b": torch.ones(1).expand(4)}, path)
    state = read_state_dict(path)
    assert not state["a"].requires_grad and state["b"].is_contiguous()


class Runs:
    """Unpickled the ordinary way, this makes a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple:
        return os.mkdir, (str(self.folder),)


@pytest.mark.parametrize("save", [torch.save, lambda x, p: p.write_bytes(pickle.dumps(x, 2))])
def test_code_is_not_run(path: Path, save) -> None:
    save({"a": Runs(path.parent / "ran")}, path)
    assert "mkdir, which is code or an object" in refusal(path)
    assert not (path.parent / "ran").exists()


def test_a_whole_module_is_refused(path: Path) -> None:
    torch.save(torch.nn.Linear(2, 2), path)
    assert "Linear" in (text := refusal(path)) and "save model.state_dict()" in text


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.99, 0.999])
def test_a_file_cut_short_is_refused(path: Path, zipped: bool, share: float) -> None:
    torch.save(STATE, path, _use_new_zipfile_serialization=zipped)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    assert "no torch checkpoint, or a damaged one" in refusal(path)


@pytest.mark.parametrize(
    "content", [b"<!DOCTYPE html><html>", b"\x89PNG\r\n\x1a\n", b"version https://git-lfs", b"\0" * 99]
)
def test_another_kind_of_file_is_refused(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    assert "no torch checkpoint, or a damaged one" in refusal(path)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (torch.ones(3), "holds a tensor of torch.float32"),
        ([torch.ones(3)], "holds a value of type list"),
        ({}, "holds nothing"),
        ({"params": {}}, "holds nothing"),
        ({"state_dict": {"a": torch.ones(1)}}, "state_dict is a value of type dict"),
        ({"a": torch.ones(1), "epoch": 3}, "epoch is a value of type int"),
        ({"a": torch.ones(1, dtype=torch.int64)}, "a is a tensor of torch.int64"),
        ({"a": torch.eye(2).to_sparse()}, "a is a tensor"),
        ({"a": torch.ones(1, device="meta")}, "a is a tensor of torch.float32 on meta"),
        ({"a": torch.tensor([1.0, np.nan])}, "a holds NaN or infinity"),
        ({"a": torch.tensor([-np.inf])}, "a holds NaN or infinity"),
        ({"a": torch.tensor([1e300], dtype=torch.float64)}, "a holds NaN or infinity"),
    ],
)
def test_what_is_no_set_of_usable_tensors_is_refused(path: Path, content: object, text: str) -> None:
    torch.save(content, path)
    assert refusal(path).startswith(text)


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    assert refusal(tmp_path / "none.pt") == "No such file or directory"
    assert refusal(tmp_path) == "Is a directory"
