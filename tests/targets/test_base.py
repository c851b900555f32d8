"""A row of `targets`, before any runtime is loaded."""

from pathlib import Path
from typing import get_args

import pytest
import torch
from tiny_build import Tiny
from tiny_qdq import write_edsr

from edsr_int8.errors import InputError
from edsr_int8.targets.base import MODULES, open_target
from edsr_int8.targets.row import KEYS, Runtime, TargetRow
from edsr_int8.targets.torch_threads import set_torch_threads


@pytest.mark.parametrize(
    ("runtime", "key", "reads"),
    [
        ("integer", "provider", "rounding"),
        ("vacc", "provider", "outputs"),
        ("openvino", "rounding", "provider"),
        ("torch", "outputs", "provider"),
    ],
)
def test_a_key_that_the_runtime_would_ignore_is_refused(runtime: str, key: str, reads: str) -> None:
    row = TargetRow(runtime, **{key: "fused"})
    with pytest.raises(InputError, match=rf"^{key}: runtime {runtime} ignores it; .*reads {reads}"):
        open_target(row)


def test_an_unknown_runtime_is_refused_with_those_known() -> None:
    with pytest.raises(InputError, match=r"^runtime: 'onxruntime' is unknown; known are integer"):
        open_target(TargetRow("onxruntime", 1, 1024))


def test_every_runtime_has_its_module_and_its_keys() -> None:
    assert set(MODULES) == set(KEYS) == set(get_args(Runtime))


def test_only_the_entry_of_a_process_gives_torch_its_threads(
    monkeypatch: pytest.MonkeyPatch, tiny: Tiny, tmp_path: Path
) -> None:
    given: list[int] = []
    monkeypatch.setattr(torch, "set_num_threads", given.append)
    write_edsr(tmp_path / "int8.onnx")
    for row, model in ((TargetRow("torch", 3), tiny.path), (TargetRow("integer", 3), tmp_path / "int8.onnx")):
        open_target(row).load(model)
        assert not given
        set_torch_threads(row)
        assert given == [3]
        given.clear()
    set_torch_threads(TargetRow("onnxruntime", 3))
    assert not given
