"""Files that torch and safetensors wrote, files that they did not, and files that want to run something."""

import contextlib
import os
import pickle
import sys
import zipfile
from argparse import Namespace
from collections import OrderedDict
from copy import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from foreign_checkpoints import official_state
from safetensors.torch import save_file
from torch import nn

from edsr_int8.checkpoints import inert
from edsr_int8.checkpoints.read import read_state_dict
from edsr_int8.errors import InputError
from edsr_int8.models.description import Description

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
@pytest.mark.parametrize("wrap", [lambda s: s, lambda s: {"params": s}])
def test_both_formats_of_torch_give_the_tensors(path: Path, zipped: bool, wrap) -> None:
    torch.save(wrap(STATE), path, _use_new_zipfile_serialization=zipped)
    torch.testing.assert_close(read_state_dict(path), STATE, rtol=0, atol=0)


@pytest.mark.parametrize("kind", [torch.float32, torch.float16, torch.bfloat16])
def test_safetensors_gives_the_tensors_whatever_the_file_is_called(path: Path, kind: torch.dtype) -> None:
    save_file({name: tensor.to(kind) for name, tensor in STATE.items()}, path, {"format": "pt"})
    expected = {name: tensor.to(kind).float() for name, tensor in STATE.items()}
    torch.testing.assert_close(read_state_dict(path), expected, rtol=0, atol=0)


class Scripted(nn.Module):
    """Submodules, a parameter, a buffer, attributes of other types, and code."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Sequential(nn.Conv2d(4, 4, 1)))
        self.gain = nn.Parameter(torch.tensor([2.0, 3.0]).half())
        self.register_buffer("mean", torch.rand(3))
        self.lengths, self.scale, self.note, self.flag = [1, 2], 0.5, "x2", True

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.body(x - self.mean.view(1, 3, 1, 1))
        return y * self.scale


@pytest.mark.parametrize("make", [torch.jit.script, lambda m: torch.jit.trace(m, torch.rand(1, 3, 8, 8))])
def test_torchscript_gives_the_state_dict(path: Path, make) -> None:
    module = Scripted()
    make(module).save(path)
    expected = {name: tensor.float() for name, tensor in module.state_dict().items()}
    torch.testing.assert_close(read_state_dict(path), expected, rtol=0, atol=0)


def test_torchscript_frozen_has_no_tensors_by_name(path: Path) -> None:
    torch.jit.freeze(torch.jit.script(Scripted().eval())).save(path)
    assert "not named tensors" in refusal(path)


def test_objects_beside_the_network_do_not_matter(path: Path) -> None:
    """What trainers save: arguments, numpy's numbers, histories of classes that are not installed."""
    state = official_state(Description("edsr", 4, 1, 2, 1.0, "pixelshuffle"), 0)
    history = type("History", (list,), {"__module__": "__main__"})
    sys.modules["__main__"].History = history  # type: ignore[attr-defined]
    more = {"args": Namespace(lr=1e-4), "best": np.float64(31.2), "path": path, "history": history([1, 2])}
    torch.save({"state_dict": state, "epoch": 3} | more, path)
    torch.testing.assert_close(read_state_dict(path), state, rtol=0, atol=0)


class Runs:
    """Unpickled the ordinary way, this makes a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple:
        return os.mkdir, (str(self.folder),)


def save_as_torchscript(content: object, path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x/constants.pkl", pickle.dumps(()))
        archive.writestr("x/data.pkl", pickle.dumps(content, 2))


@pytest.mark.parametrize(
    "save", [torch.save, lambda x, p: p.write_bytes(pickle.dumps(x, 2)), save_as_torchscript]
)
def test_code_is_not_run(path: Path, save) -> None:
    save({"a": Runs(path.parent / "ran")}, path)
    assert "mkdir, which is code or an object" in (text := refusal(path)) or "not named tensors" in text
    assert not (path.parent / "ran").exists()


def test_code_beside_the_network_is_not_run(path: Path) -> None:
    state = official_state(Description("edsr", 4, 1, 2, 1.0, "pixelshuffle"), 0)
    torch.save({"hook": Runs(path.parent / "ran"), "params": state}, path)
    assert len(read_state_dict(path)) == len(state)
    assert not (path.parent / "ran").exists()


class Sets:
    """Unpickled, this gets a function or class that the reader allows, and sets its attributes."""

    def __init__(self, function: Any, attributes: dict[str, Any]) -> None:
        self.function, self.attributes = function, attributes

    def __reduce__(self) -> tuple:
        return dict, (), None, None, iter([("f", _Get(self.function, self.attributes))])


class _Get:
    def __init__(self, function: Any, attributes: dict[str, Any]) -> None:
        self.function, self.attributes = function, attributes

    def __reduce__(self) -> str | tuple:
        return copy, (self.function,), (None, self.attributes)


@pytest.mark.parametrize("function", [torch._utils._rebuild_tensor_v2, OrderedDict, Namespace])
def test_a_pickle_changes_no_class_or_function(path: Path, function: Any) -> None:
    state = official_state(Description("edsr", 4, 1, 2, 1.0, "pixelshuffle"), 0)
    torch.save({"x": Sets(function, {"__doc__": "changed", "__call__": None}), "params": state}, path)
    with contextlib.suppress(InputError):
        read_state_dict(path)
    assert all("changed" not in str(x.__doc__) for x in (function, inert._Inert, inert._Rebuild))
    torch.save({"params": state}, path)
    assert len(read_state_dict(path)) == len(state)


def test_a_whole_module_is_refused(path: Path) -> None:
    torch.save(nn.Linear(2, 2), path)
    assert "Linear" in (text := refusal(path)) and "save model.state_dict()" in text


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.99, 0.999])
def test_a_file_cut_short_is_refused(path: Path, zipped: bool, share: float) -> None:
    torch.save(STATE, path, _use_new_zipfile_serialization=zipped)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    assert "no checkpoint, or a damaged one" in refusal(path)


def test_safetensors_cut_short_is_refused(path: Path) -> None:
    save_file(STATE, path)
    path.write_bytes(path.read_bytes()[:-1])
    assert "no checkpoint, or a damaged one" in refusal(path)


def test_a_flipped_bit_is_refused(path: Path) -> None:
    torch.save(STATE, path)
    content = bytearray(path.read_bytes())
    content[content.index(torch.arange(600.0).numpy().tobytes()) + 100] ^= 4
    path.write_bytes(content)
    assert "data/0 inside it is damaged" in refusal(path)


def test_a_compressed_archive_is_refused(path: Path) -> None:
    """A few kilobytes may hold gigabytes."""
    torch.save({"a": torch.zeros(100_000)}, path)
    with zipfile.ZipFile(path) as archive:
        records = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in records.items():
            archive.writestr(name, content)
    assert "compressed records" in refusal(path)


@pytest.mark.parametrize(
    "content", [b"<!DOCTYPE html><html>", b"\x89PNG\r\n\x1a\n", b"version https://git-lfs", b"\0" * 99]
)
def test_another_kind_of_file_is_refused(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    assert "no checkpoint, or a damaged one" in refusal(path)


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    assert refusal(tmp_path / "none.pt") == "No such file or directory"
    assert refusal(tmp_path) == "Is a directory"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("expand_1e12", "its tensors hold more than the file: head.0.weight is 1000000x1000000"),
        ("float4", "head.0.weight is a tensor of torch.float4"),
        ("flipped", "inside it is damaged"),
    ],
)
def test_hostile_files_are_refused(name: str, text: str, shared: Path) -> None:
    assert text in refusal(shared / "cases" / "hostile" / f"{name}.pt")
    assert len(read_state_dict(shared / "cases" / "hostile" / "good.pt")) == 20


def rewritten(path: Path, change: Any) -> None:
    """The archive at `path` with other records, and right checksums."""
    with zipfile.ZipFile(path) as archive:
        records = [(info.filename, archive.read(info)) for info in archive.infolist()]
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in change(records):
            archive.writestr(name, content)


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("name", [lambda n: n, str.upper])
def test_two_records_of_one_name_are_refused(path: Path, name: Any) -> None:
    """Readers differ in which of the two they take."""
    torch.save(STATE, path)
    rewritten(
        path, lambda records: [*records, *((name(n), b"x") for n, _ in records if n.endswith("data/0"))]
    )
    assert "two records of one name" in refusal(path)


def test_a_record_marked_as_a_folder_is_read_all_the_same(path: Path) -> None:
    """torch's own reader leaves its tensor as it finds the memory."""
    torch.save(STATE, path)
    content = bytearray(path.read_bytes())
    name = content.rindex(b"/data/0") - len("weights")  # in the directory, behind 46 bytes of its record
    assert content[name - 46 : name - 42] == b"PK\x01\x02"
    content[name - 8] |= 0x10  # MS-DOS's attribute of a folder (APPNOTE 4.4.15)
    path.write_bytes(content)
    torch.testing.assert_close(read_state_dict(path), STATE, rtol=0, atol=0)


def test_records_that_overlap_are_refused(path: Path) -> None:
    """A megabyte named a thousand times is a gigabyte."""
    torch.save({"a": torch.zeros(25_000_000, dtype=torch.uint8)}, path)
    with zipfile.ZipFile(path, "a") as archive:
        first = next(info for info in archive.infolist() if info.filename.endswith("data/0"))
        for number in range(8):
            again = copy(first)
            again.filename = f"{first.filename}{number}"
            archive.filelist.append(again)
        archive._didModify = True  # type: ignore[attr-defined]
    assert "more bytes than the file has" in refusal(path)


class Grows:
    def __reduce__(self) -> tuple:
        return bytearray, (2**40,)


@pytest.mark.parametrize("zipped", [True, False])
def test_an_array_of_any_length_is_not_made(path: Path, zipped: bool) -> None:
    torch.save({"x": Grows()}, path, _use_new_zipfile_serialization=zipped)
    refusal(path)


def test_mappings_in_each_other_are_read_once(path: Path) -> None:
    """Thirty names a level, all of them of one mapping: a million paths, and four mappings."""
    below: dict[str, Any] = STATE
    for _ in range(3):
        below = dict.fromkeys(map(str, range(100)), below)
    torch.save(below, path)
    assert read_state_dict(path).keys() == STATE.keys()


def test_modules_in_each_other_are_not_followed_without_end(path: Path) -> None:
    module: Any = Namespace(weight=1)
    for _ in range(40):
        module = Namespace(a=module, b=module)
    save_as_torchscript(module, path)
    assert "more than 10000 modules" in refusal(path)


def test_every_flipped_bit_is_refused_or_changes_nothing(path: Path) -> None:
    torch.save({"a.weight": torch.arange(6.0)}, path)
    whole = path.read_bytes()
    for bit in range(0, 8 * len(whole), 97):
        content = bytearray(whole)
        content[bit // 8] ^= 1 << bit % 8
        path.write_bytes(content)
        try:
            assert torch.equal(read_state_dict(path)["a.weight"], torch.arange(6.0))
        except InputError as error:
            assert "\n" not in str(error)
