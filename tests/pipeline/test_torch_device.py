"""EDSR_INT8_DEVICE, and what there is."""

import pytest
import torch

from edsr_int8.errors import InputError
from edsr_int8.pipeline import torch_device
from edsr_int8.pipeline.torch_device import VARIABLE


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Without the variable; the set-up of a GPU is left out."""
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setattr(torch_device, "repeat_on_cuda", lambda: None)
    return monkeypatch


@pytest.mark.parametrize("found", [False, True])
def test_a_gpu_where_there_is_one(machine: pytest.MonkeyPatch, found: bool) -> None:
    machine.setattr(torch.cuda, "is_available", lambda: found)
    assert torch_device.torch_device() == ("cuda" if found else "cpu")


def test_the_variable_keeps_the_gpu_out(machine: pytest.MonkeyPatch) -> None:
    machine.setattr(torch.cuda, "is_available", lambda: True)
    machine.setenv(VARIABLE, "cpu")
    assert torch_device.torch_device() == "cpu"


def test_a_gpu_that_is_not_there_is_refused(machine: pytest.MonkeyPatch) -> None:
    machine.setattr(torch.cuda, "is_available", lambda: False)
    machine.setenv(VARIABLE, "cuda")
    with pytest.raises(InputError, match=f"^{VARIABLE}: asks for cuda, but torch .* finds no GPU"):
        torch_device.torch_device()


def test_another_value_is_refused(machine: pytest.MonkeyPatch) -> None:
    machine.setenv(VARIABLE, "gpu")
    with pytest.raises(InputError, match=f"^{VARIABLE}: is 'gpu'; allowed are cpu and cuda"):
        torch_device.torch_device()
