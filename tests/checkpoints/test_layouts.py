"""Every layout against its publisher's forward pass, written out over its tensor names (publishers.py)."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import get_type_hints

import pytest
import torch
from foreign_checkpoints import (
    State,
    basicsr_state,
    mean_shift,
    mmagic_state,
    official_mdsr_state,
    official_state,
)
from publishers import DIV2K, basicsr_forward, official_forward, official_mdsr_forward
from torch import Tensor

from edsr_int8.checkpoints.convert import convert, load_network
from edsr_int8.checkpoints.sources import LAYOUTS, SOURCES
from edsr_int8.errors import InputError
from edsr_int8.models.description import Description, NetworkRow

X2 = Description("edsr", 6, 2, 2, 1.0, "pixelshuffle")
X4 = replace(X2, scale=4, res_scale=0.1, blocks=3)
X8 = replace(X2, scale=8, blocks=1)
DIRECT = replace(X2, upsampler="direct", scale=3)
NONE = replace(X2, upsampler="none", scale=1)
MDSR = replace(X2, network="mdsr")
NO_MEAN = (0.0, 0.0, 0.0)

Forward = Callable[[Tensor], Tensor]  # of an image in 0..1, to 0..1


@pytest.fixture(scope="module")
def image() -> Tensor:
    return torch.randint(0, 256, (1, 3, 9, 13), generator=torch.Generator().manual_seed(0)).float()


def check(
    state: State,
    source: str,
    description: Description,
    forward: Forward,
    image: Tensor,
    folder: Path,
    **stated,
) -> None:
    """What the file converts to computes `forward`, in grey levels."""
    torch.save(state, folder / "weights.pt")
    convert(folder / "weights.pt", source, description, folder / "network", **stated)
    module, _ = load_network(folder / "network")
    with torch.inference_mode():
        torch.testing.assert_close(module(image), 255 * forward(image / 255), rtol=0, atol=1e-3)


@pytest.mark.parametrize("description", [X2, X4, X8, replace(X2, scale=3), DIRECT, NONE], ids=str)
def test_official_computes_what_edsr_pytorch_does(
    description: Description, image: Tensor, tmp_path: Path
) -> None:
    state = official_state(description, seed=1)

    def forward(x: Tensor) -> Tensor:
        return official_forward(x * 255, state, description) / 255

    check(state, "official", description, forward, image, tmp_path)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_each_scale_of_mdsr_computes_what_edsr_pytorch_does(
    scale: int, image: Tensor, tmp_path: Path
) -> None:
    description = replace(MDSR, scale=scale)
    state = official_mdsr_state(description, seed=2)

    def forward(x: Tensor) -> Tensor:
        return official_mdsr_forward(x * 255, state, description) / 255

    check(state, "official", description, forward, image, tmp_path)


@pytest.mark.parametrize("mean", [DIV2K, (0.45, 0.5, 0.41)])
def test_official_of_the_range_0_1(mean: tuple[float, ...], image: Tensor, tmp_path: Path) -> None:
    """`--rgb_range 1`: the stored mean tells."""
    state = official_state(X2, seed=3) | mean_shift(mean)
    check(state, "official", X2, lambda x: official_forward(x, state, X2), image, tmp_path)


@pytest.mark.parametrize("img_range", [1, 2, 100, 255])
def test_official_without_a_mean_shift(img_range: float, image: Tensor, tmp_path: Path) -> None:
    state = {name: tensor for name, tensor in official_state(X2, seed=3).items() if "mean" not in name}

    def forward(x: Tensor) -> Tensor:
        return official_forward(x * img_range, state, X2, uses_mean=False) / img_range

    check(state, "official", X2, forward, image, tmp_path, img_range=img_range)


def test_super_image_stores_a_mean_and_does_not_use_it(image: Tensor, tmp_path: Path) -> None:
    state = official_state(X2, seed=4)

    def forward(x: Tensor) -> Tensor:
        return official_forward(x, state, X2, uses_mean=False)

    check(state, "official", X2, forward, image, tmp_path, img_range=1, rgb_mean=NO_MEAN)


@pytest.mark.parametrize("description", [X2, X4, X8, replace(X2, scale=3), NONE], ids=str)
def test_basicsr_computes_what_basicsr_does(description: Description, image: Tensor, tmp_path: Path) -> None:
    state = basicsr_state(description, seed=5)
    check(state, "basicsr", description, lambda x: basicsr_forward(x, state, description), image, tmp_path)


@pytest.mark.parametrize(("img_range", "rgb_mean"), [(1, DIV2K), (255, NO_MEAN), (2, (0.5, 0.4, 0.3))])
def test_basicsr_of_another_range_or_mean(
    img_range: float, rgb_mean: tuple, image: Tensor, tmp_path: Path
) -> None:
    state, stated = basicsr_state(X2, seed=6), {"img_range": img_range, "rgb_mean": rgb_mean}
    check(state, "basicsr", X2, lambda x: basicsr_forward(x, state, X2, **stated), image, tmp_path, **stated)


@pytest.mark.parametrize("description", [X2, X4, replace(X2, scale=3)], ids=str)
def test_mmagic_computes_what_mmagic_does(description: Description, image: Tensor, tmp_path: Path) -> None:
    state = mmagic_state(description, seed=7)

    def forward(x: Tensor) -> Tensor:
        return basicsr_forward(x, state, description, img_range=1)

    check(state, "basicsr", description, forward, image, tmp_path)


@pytest.mark.parametrize("publisher", ["official", "basicsr"])
def test_a_network_of_one_channel_gives_it_in_all_three(
    publisher: str, image: Tensor, tmp_path: Path
) -> None:
    """Of a colour image, the network gets the luma."""
    luma = torch.tensor((0.299, 0.587, 0.114)).view(1, 3, 1, 1)
    if publisher == "official":
        state = {n: t for n, t in official_state(X2, seed=8, colours=1).items() if "mean" not in n}

        def of_grey(x: Tensor) -> Tensor:
            return official_forward(255 * x, state, X2, uses_mean=False) / 255
    else:
        state = basicsr_state(X2, seed=8, colours=1)

        def of_grey(x: Tensor) -> Tensor:
            return basicsr_forward(x, state, X2, rgb_mean=(0,))

    def forward(x: Tensor) -> Tensor:
        return of_grey((x * luma).sum(1, keepdim=True)).expand(-1, 3, -1, -1)

    check(state, publisher, X2, forward, image, tmp_path)
    check(state, publisher, X2, forward, image[:, :1].expand(-1, 3, -1, -1), tmp_path)


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
def test_half_precision_rounds_the_stored_mean_but_not_ours(
    kind: torch.dtype, image: Tensor, tmp_path: Path
) -> None:
    state = {name: tensor.to(kind) for name, tensor in official_state(X2, seed=9).items()}

    def forward(x: Tensor) -> Tensor:
        exact = state | mean_shift()
        return official_forward(x * 255, exact, X2) / 255

    check(state, "official", X2, forward, image, tmp_path)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("add_mean.bias", lambda t: -t),
        ("sub_mean.bias", lambda t: t / 255),
        ("add_mean.weight", lambda t: t * 1.0001),
        ("sub_mean.weight", lambda t: t.flip(0)),
    ],
)
def test_a_mean_shift_that_does_something_else_is_refused(name: str, change, tmp_path: Path) -> None:
    state = official_state(X2, seed=9)
    state[name] = change(state[name])
    torch.save(state, tmp_path / "weights.pt")
    with pytest.raises(InputError, match=r"weights\.pt: (sub|add)_mean\.\w+ (does more|is not what)"):
        convert(tmp_path / "weights.pt", "official", X2, tmp_path / "network")


@pytest.mark.parametrize("description", [X2, X4, X8, DIRECT, NONE], ids=str)
@pytest.mark.parametrize("source", SOURCES)
def test_a_state_dict_goes_there_and_back(source: str, description: Description) -> None:
    layout = SOURCES[source]
    if not layout.has(description):
        return
    make = {"official": official_state, "basicsr": basicsr_state}[source]
    state = make(description, 4)
    back = layout.to_foreign({description.scale: layout.to_own(state, description)}, description)
    torch.testing.assert_close(back, state, rtol=0, atol=1e-4)  # the mean, 255 x 0.4371, rounds either way


def test_all_scales_of_mdsr_go_there_and_back() -> None:
    state, layout = official_mdsr_state(MDSR, 4), SOURCES["official"]
    own = {scale: layout.to_own(state, replace(MDSR, scale=scale)) for scale in (2, 3, 4)}
    torch.testing.assert_close(layout.to_foreign(own, MDSR), state, rtol=0, atol=1e-4)


def test_a_row_may_name_every_source() -> None:
    assert set(get_type_hints(NetworkRow)["source"].__args__) == {layout.source for layout in LAYOUTS}


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
