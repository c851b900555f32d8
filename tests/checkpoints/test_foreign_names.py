"""Both publishers' layouts against their forward passes, written out here over their own tensor names."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from foreign_checkpoints import UPSAMPLING, basicsr_state, official_mdsr_state, official_state
from torch import Tensor

from edsr_int8.checkpoints import basicsr, official
from edsr_int8.errors import InputError
from edsr_int8.models.build import build
from edsr_int8.models.description import Description

X2 = Description("edsr", 6, 2, 2, 1.0, "pixelshuffle")
X4 = replace(X2, scale=4, res_scale=0.1, blocks=3)
DIRECT = replace(X2, upsampler="direct", scale=3)
NONE = replace(X2, upsampler="none", scale=1)
MDSR = replace(X2, network="mdsr")
MEAN_01 = torch.tensor([0.4488, 0.4371, 0.4040]).view(1, 3, 1, 1)


def conv(x: Tensor, state: Mapping[str, Tensor], name: str) -> Tensor:
    weight = state[f"{name}.weight"]
    return F.conv2d(x, weight, state[f"{name}.bias"], padding=weight.shape[-1] // 2)


def upsampled(x: Tensor, state: Mapping[str, Tensor], name: str, scale: int) -> Tensor:
    for step, factor in enumerate(UPSAMPLING[scale]):
        x = F.pixel_shuffle(conv(x, state, f"{name}.{2 * step}"), factor)
    return x


def official_block(x: Tensor, state: Mapping[str, Tensor], name: str, res_scale: float) -> Tensor:
    return conv(F.relu(conv(x, state, f"{name}.body.0")), state, f"{name}.body.2").mul(res_scale) + x


def official_body(x: Tensor, state: Mapping[str, Tensor], d: Description) -> Tensor:
    y = x
    for i in range(d.blocks):
        y = official_block(y, state, f"body.{i}", d.res_scale)
    return conv(y, state, f"body.{d.blocks}") + x


def official_forward(x: Tensor, state: Mapping[str, Tensor], d: Description) -> Tensor:
    if d.upsampler == "direct":
        x = official_body(conv(x, state, "head.0"), state, d)
        return F.pixel_shuffle(conv(x, state, "tail.0").clip(0, 255), d.scale)
    x = official_body(conv(conv(x, state, "sub_mean"), state, "head.0"), state, d)
    x = conv(upsampled(x, state, "tail.0", d.scale), state, "tail.1")
    return conv(x, state, "add_mean")


def official_mdsr_forward(x: Tensor, state: Mapping[str, Tensor], d: Description) -> Tensor:
    branch = (2, 3, 4).index(d.scale)
    x = conv(conv(x, state, "sub_mean"), state, "head.0")
    for block in (0, 1):
        x = official_block(x, state, f"pre_process.{branch}.{block}", 1.0)
    x = official_body(x, state, d)
    x = conv(upsampled(x, state, f"upsample.{branch}", d.scale), state, "tail.0")
    return conv(x, state, "add_mean")


def basicsr_forward(x: Tensor, state: Mapping[str, Tensor], d: Description) -> Tensor:
    """Takes and gives 0..1."""
    x = conv((x - MEAN_01) * 255.0, state, "conv_first")
    y = x
    for i in range(d.blocks):
        y = y + conv(F.relu(conv(y, state, f"body.{i}.conv1")), state, f"body.{i}.conv2") * d.res_scale
    x = upsampled(conv(y, state, "conv_after_body") + x, state, "upsample", d.scale)
    return conv(x, state, "conv_last") / 255.0 + MEAN_01


def our_forward(x: Tensor, state: dict[str, Tensor], d: Description) -> Tensor:
    network = build(d)
    network.load_state_dict(state)
    with torch.inference_mode():
        return network(x)


@pytest.fixture(scope="module")
def image() -> Tensor:
    return torch.randint(0, 256, (1, 3, 9, 13), generator=torch.Generator().manual_seed(0)).float()


@pytest.mark.parametrize("description", [X2, X4, replace(X2, scale=3), DIRECT, NONE], ids=str)
def test_official_network_computes_what_edsr_pytorch_does(description: Description, image: Tensor) -> None:
    state = official_state(description, seed=1)
    ours = our_forward(image, official.from_foreign(state, description), description)
    torch.testing.assert_close(ours, official_forward(image, state, description), rtol=0, atol=1e-4)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_each_scale_of_mdsr_computes_what_edsr_pytorch_does(scale: int, image: Tensor) -> None:
    description = replace(MDSR, scale=scale)
    state = official_mdsr_state(description, seed=2)
    ours = our_forward(image, official.from_foreign(state, description), description)
    torch.testing.assert_close(ours, official_mdsr_forward(image, state, description), rtol=0, atol=1e-4)


@pytest.mark.parametrize("description", [X2, X4, replace(X2, scale=3), NONE], ids=str)
def test_basicsr_network_computes_what_basicsr_does(description: Description, image: Tensor) -> None:
    state = basicsr_state(description, seed=3)
    ours = our_forward(image, basicsr.from_foreign(state, description), description)
    reference = 255 * basicsr_forward(image / 255, state, description)
    torch.testing.assert_close(ours, reference, rtol=0, atol=1e-3)


@pytest.mark.parametrize("description", [X2, X4, DIRECT, NONE], ids=str)
def test_official_round_trip(description: Description) -> None:
    state = official_state(description, seed=4)
    back = official.to_foreign(official.from_foreign(state, description), description)
    torch.testing.assert_close(back, state, rtol=0, atol=1e-4)  # the mean, 255 x 0.4371, rounds either way


@pytest.mark.parametrize("description", [X2, X4, NONE], ids=str)
def test_basicsr_round_trip(description: Description) -> None:
    state = basicsr_state(description, seed=5)
    back = basicsr.to_foreign(basicsr.from_foreign(state, description), description)
    torch.testing.assert_close(back, state, rtol=0, atol=0)


@pytest.mark.parametrize(("blocks", "millions"), [(16, "3.23"), (80, "7.95")])
def test_published_mdsr_has_this_many_parameters(blocks: int, millions: str) -> None:
    state = official_mdsr_state(Description("mdsr", 64, blocks, 2, 1.0, "pixelshuffle"), seed=0)
    count = sum(tensor.numel() for name, tensor in state.items() if "mean" not in name)
    assert f"{count / 1e6:.2f}" == millions


@pytest.mark.parametrize(
    ("blocks", "scale", "file_bytes"), [(16, 2, 5490680), (16, 3, 6229240), (16, 4, 6081831)]
)
def test_published_baselines_are_as_large(blocks: int, scale: int, file_bytes: int) -> None:
    state = official_state(Description("edsr", 64, blocks, scale, 1.0, "pixelshuffle"), seed=0)
    data_bytes = 4 * sum(tensor.numel() for tensor in state.values())
    assert 0 < file_bytes - data_bytes < 20_000  # names and offsets


def test_every_tensor_that_does_not_fit_is_listed() -> None:
    state = official_state(X2, seed=6)
    del state["head.0.bias"]
    state["tail.2.weight"] = torch.zeros(3)
    state["body.0.body.2.weight"] = torch.zeros(6, 6, 5, 5)
    with pytest.raises(InputError) as caught:
        official.from_foreign(state, X2)
    assert str(caught.value) == (
        "tensors do not fit the row: 1 missing (head.0.bias), 1 unexpected (tail.2.weight), "
        "1 of another shape (body.0.body.2.weight is 6x6x5x5, expected 6x6x3x3)"
    )


def test_a_long_list_is_cut_and_counted() -> None:
    with pytest.raises(InputError, match=r"8 unexpected \(body\.2\.body\.0\.weight; .*; 5 more\)"):
        extra = {
            f"body.{i}.body.{j}.{kind}": torch.zeros(1)
            for i in (2, 3)
            for j in (0, 2)
            for kind in ("weight", "bias")
        }
        official.from_foreign(official_state(X2, seed=6) | extra, X2)


def test_mdsr_without_one_of_its_other_scales_is_refused() -> None:
    state = official_mdsr_state(MDSR, seed=7)
    del state["pre_process.2.0.body.0.weight"]
    with pytest.raises(InputError, match=r"1 missing \(pre_process\.2\.0\.body\.0\.weight\)"):
        official.from_foreign(state, MDSR)


def test_a_mean_within_a_thousandth_of_a_grey_level_passes() -> None:
    state = official_state(X2, seed=8)
    official.from_foreign(state | {"sub_mean.bias": state["sub_mean.bias"] + 0.0005}, X2)


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
def test_a_mean_stored_in_half_precision_passes(kind: torch.dtype) -> None:
    state = {name: tensor.to(kind).float() for name, tensor in official_state(X2, seed=8).items()}
    official.from_foreign(state, X2)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("sub_mean.bias", lambda t: t + 0.002),
        ("add_mean.bias", lambda t: -t),
        ("sub_mean.bias", lambda t: t / 255),  # a network that was trained in the range 0..1
        ("add_mean.weight", lambda t: t * 1.00001),  # 0.0026 grey levels at 255
    ],
)
def test_another_mean_than_div2ks_is_refused(name: str, change) -> None:
    state = official_state(X2, seed=9)
    state[name] = change(state[name])
    with pytest.raises(InputError, match=f"^{name} is .* DIV2K's mean"):
        official.from_foreign(state, X2)


@pytest.mark.parametrize("description", [MDSR, DIRECT])
def test_what_basicsr_does_not_have_is_refused(description: Description) -> None:
    with pytest.raises(InputError, match="use source official"):
        basicsr.from_foreign({}, description)


def test_one_scale_makes_no_mdsr_file() -> None:
    with pytest.raises(ValueError, match="three scales"):
        official.to_foreign({}, MDSR)
