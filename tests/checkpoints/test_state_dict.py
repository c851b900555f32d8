"""The tensors of the network, wherever they lie in a checkpoint and whatever lies beside them."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from foreign_checkpoints import State, basicsr_state, mmagic_state, official_state

from edsr_int8.checkpoints.state_dict import state_dict
from edsr_int8.errors import InputError
from edsr_int8.models.description import Description

TINY = Description("edsr", 4, 1, 2, 1.0, "pixelshuffle")
OFFICIAL, BASICSR, MMAGIC = (make(TINY, 0) for make in (official_state, basicsr_state, mmagic_state))
AVERAGE = {name: tensor / 2 for name, tensor in BASICSR.items()}
COUNTER = torch.tensor(7)
OPTIMIZER = {"state": {0: {"exp_avg": torch.ones(4, 3, 3, 3)}}, "param_groups": [{"lr": 1e-4}]}


def prefixed(prefix: str, state: State) -> State:
    return {prefix + name: tensor for name, tensor in state.items()}


def profiled(state: State) -> State:
    """As thop leaves it."""
    layers = {name.rpartition(".")[0] for name in state} | {""}
    return state | {
        f"{layer}.{kind}".lstrip("."): torch.zeros(1, dtype=torch.float64)
        for layer in layers
        for kind in ("total_ops", "total_params")
    }


CHECKPOINTS: dict[str, tuple[State, Callable[[State], Any]]] = {
    "bare": (OFFICIAL, lambda s: s),
    "data parallel": (OFFICIAL, lambda s: prefixed("module.", s)),
    "compiled": (OFFICIAL, lambda s: prefixed("_orig_mod.", s)),
    "lightning": (OFFICIAL, lambda s: {"epoch": 3, "state_dict": prefixed("model.", s), "loops": {}}),
    "under model, beside an optimizer": (OFFICIAL, lambda s: {"optimizer": OPTIMIZER, "model": s}),
    "counters among the tensors": (OFFICIAL, lambda s: s | {"step": COUNTER, "epoch": 3, "note": "x2"}),
    "profiled": (OFFICIAL, profiled),
    "params": (BASICSR, lambda s: {"params": s}),
    "net_g": (BASICSR, lambda s: {"net_g": s, "net_d": {"conv0_0.weight": torch.ones(4, 3, 3, 3)}}),
    "prefixes in keys": (BASICSR, lambda s: {"params": prefixed("module.", s)}),
    "mmagic": (
        MMAGIC,
        lambda s: {
            "meta": {"epoch": 1},
            "state_dict": prefixed("generator.", s) | {"step_counter": COUNTER},
            "optimizer": OPTIMIZER,
        },
    ),
    "beside a discriminator": (
        MMAGIC,
        lambda s: prefixed("generator.", s) | prefixed("discriminator.", {"conv.weight": torch.ones(2)}),
    ),
    "the average, not the last": (AVERAGE, lambda s: {"params": BASICSR, "params_ema": s}),
    "the average by its prefix": (
        AVERAGE,
        lambda s: prefixed("generator.", BASICSR) | prefixed("generator_ema.", s),
    ),
    "no EDSR at all": ({"features.0.weight": torch.ones(4)}, lambda s: {"model": s, "optimizer": OPTIMIZER}),
}


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_the_network_is_found(name: str) -> None:
    state, wrap = CHECKPOINTS[name]
    torch.testing.assert_close(state_dict(wrap(state), most_bytes=10**6), state, rtol=0, atol=0)


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_become_float32(kind: torch.dtype) -> None:
    (tensor,) = state_dict({"a": torch.tensor([0.5, -2.0], dtype=kind)}, most_bytes=99).values()
    assert tensor.dtype == torch.float32 and tensor.tolist() == [0.5, -2.0]


def test_parameters_and_views_are_plain_tensors() -> None:
    state = state_dict({"a": torch.nn.Parameter(torch.ones(2)), "b": torch.ones(1).expand(4)}, most_bytes=99)
    assert not state["a"].requires_grad and state["b"].is_contiguous()


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (torch.ones(3), "holds a tensor of torch.float32"),
        ([torch.ones(3)], "holds a value of type list"),
        ({}, "holds nothing"),
        ({"params": {}}, "holds a value of type dict, not named tensors"),
        ({"epoch": 3}, "holds a value of type dict, not named tensors"),
        ({"a": torch.ones(2, dtype=torch.int64)}, "a is a tensor of torch.int64"),
        ({"a": torch.ones(1, dtype=torch.int64)}, "holds a value of type dict, not named tensors"),
        ({"a": torch.zeros(2, dtype=torch.uint8).view(torch.float8_e4m3fn)}, "a is a tensor of torch.float8"),
        (
            {"a": torch.zeros(2, dtype=torch.uint8).view(torch.float4_e2m1fn_x2)},
            "a is a tensor of torch.float4",
        ),
        ({"a": torch.eye(2).to_sparse()}, "a is a tensor"),
        ({"a": torch.nested.nested_tensor([torch.ones(1), torch.ones(2)])}, "a is a tensor"),
        ({"a": torch.ones(1, device="meta")}, "a is a tensor of torch.float32 on meta"),
        ({"a": torch.tensor([1.0, torch.nan])}, "a holds NaN or infinity"),
        ({"a": torch.tensor([-torch.inf])}, "a holds NaN or infinity"),
        ({"a": torch.tensor([1e300], dtype=torch.float64)}, "a holds NaN or infinity"),
        (
            {"a": torch.ones(1).expand(10**6, 10**6)},
            "its tensors hold more than the file: a is 1000000x1000000",
        ),
        ({str(i): torch.ones(100) for i in range(9)}, "its tensors hold more than the file: 0 is 100"),
    ],
)
def test_what_is_no_set_of_usable_tensors_is_refused(content: object, text: str) -> None:
    with pytest.raises(InputError) as caught:
        state_dict(content, most_bytes=1000)
    assert str(caught.value).startswith(text) and "\n" not in str(caught.value)
