"""From a checkpoint file to our tensors and facts, and refusals; all networks: test_card_networks.py."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from foreign_checkpoints import State, basicsr_state, official_mdsr_state, official_state
from safetensors import safe_open

from edsr_int8.checkpoints.convert import convert
from edsr_int8.checkpoints.write import write_checkpoint
from edsr_int8.errors import InputError
from edsr_int8.models.build import build
from edsr_int8.models.description import Description

TINY = Description("edsr", 4, 1, 2, 1.0, "pixelshuffle")
DIRECT = replace(TINY, upsampler="direct")
BASELINE = Description("edsr", 64, 16, 2, 1.0, "pixelshuffle")
DEBLUR = Description("edsr", 32, 9, 1, 1.0, "none")

Make = Callable[[Description, int], State]
R8F64 = replace(BASELINE, blocks=8)


def test_description_json_says_what_follows_from_the_checkpoint(tmp_path: Path) -> None:
    torch.save(official_state(TINY, 1), tmp_path / "weights.pt")
    facts = convert(tmp_path / "weights.pt", "official", TINY, tmp_path / "network")
    digest = hashlib.sha256((tmp_path / "weights.pt").read_bytes()).hexdigest()
    assert (facts.source, facts.weights_sha256, facts.receptive_radius) == ("official", digest, 6)
    assert (facts.network, facts.scale, facts.upsampler) == ("edsr", 2, "pixelshuffle")


def test_equal_tensors_give_equal_bytes(tmp_path: Path) -> None:
    state = official_state(TINY, 2)
    torch.save(state, tmp_path / "a.pt")
    torch.save(dict(reversed(state.items())), tmp_path / "b.pt", _use_new_zipfile_serialization=False)
    for name in ("a", "b"):
        convert(tmp_path / f"{name}.pt", "official", TINY, tmp_path / name)
    a, b = ((tmp_path / name / "weights.safetensors").read_bytes() for name in ("a", "b"))
    assert a == b


@pytest.mark.parametrize("source", ["official", "basicsr"])
def test_a_written_checkpoint_converts_to_the_same_tensors(source: str, tmp_path: Path) -> None:
    state = build(TINY).state_dict()
    for name in ("a.pt", "b.pt"):
        write_checkpoint(state, source, TINY, tmp_path / name)
    assert (tmp_path / "a.pt").read_bytes() == (tmp_path / "b.pt").read_bytes()
    convert(tmp_path / "a.pt", source, TINY, tmp_path)
    with safe_open(tmp_path / "weights.safetensors", "pt") as file:
        assert set(file.keys()) == set(state)
        assert all(torch.equal(file.get_tensor(name), tensor) for name, tensor in state.items())


def test_one_network_in_two_layouts_converts_to_equal_tensors(shared: Path, tmp_path: Path) -> None:
    files = {"official": "edsr_r8f64x2_official.pt", "basicsr": "EDSR_Sx2_f64b8_basicsr.pth"}
    for source, name in files.items():
        convert(shared / "weights" / name, source, R8F64, tmp_path / source)
    official, basicsr = ((tmp_path / source / "weights.safetensors").read_bytes() for source in files)
    assert official == basicsr


@pytest.mark.parametrize(
    ("asked", "source", "make", "held", "fields"),
    [
        (TINY, "official", official_state, replace(TINY, features=8), "features: 8"),
        (TINY, "official", official_state, replace(TINY, blocks=3, scale=4), "blocks: 3, scale: 4"),
        (TINY, "official", official_state, replace(TINY, upsampler="direct"), "upsampler: direct"),
        (TINY, "official", official_mdsr_state, replace(TINY, network="mdsr"), "network: mdsr"),
        (
            replace(TINY, network="mdsr"),
            "official",
            official_mdsr_state,
            replace(TINY, blocks=2),
            "blocks: 2",
        ),
        (TINY, "official", basicsr_state, TINY, "source: basicsr"),
        (TINY, "basicsr", basicsr_state, DEBLUR, "features: 32, blocks: 9, scale: 1, upsampler: none"),
        (DIRECT, "basicsr", official_state, DIRECT, "source: official"),
    ],
)
def test_a_checkpoint_for_another_row_says_what_to_change(
    asked: Description, source: str, make: Make, held: Description, fields: str, tmp_path: Path
) -> None:
    path = tmp_path / "weights.pt"
    torch.save(make(held, 0), path)
    with pytest.raises(InputError) as caught:
        convert(path, source, asked, tmp_path / "network")
    text = str(caught.value)
    assert text.startswith(f"{path}: ") and text.endswith(f"; this file needs {fields} in the row")
    assert "\n" not in text and not (tmp_path / "network").exists()


def test_no_change_is_proposed_where_only_the_mean_is_another(tmp_path: Path) -> None:
    state = official_state(TINY, 0)
    state["sub_mean.bias"] /= 255
    torch.save(state, tmp_path / "weights.pt")
    with pytest.raises(InputError, match=r"sub_mean\.bias is .* supported: -114\.444, -111\.46, -103\.02$"):
        convert(tmp_path / "weights.pt", "official", TINY, tmp_path / "network")


def test_a_checkpoint_that_fits_no_row_lists_its_tensors_only(tmp_path: Path) -> None:
    torch.save({"features.0.weight": torch.ones(64, 3, 3, 3)}, tmp_path / "vgg.pt")
    with pytest.raises(InputError, match=r"12 missing \(.*1 unexpected \(features\.0\.weight\)$"):
        convert(tmp_path / "vgg.pt", "basicsr", TINY, tmp_path / "network")


def test_a_description_of_no_network_is_refused_before_the_tensors(tmp_path: Path) -> None:
    torch.save(official_state(TINY, 0), tmp_path / "weights.pt")
    with pytest.raises(InputError, match=r"weights\.pt: scale: found 5"):
        convert(tmp_path / "weights.pt", "official", replace(TINY, scale=5), tmp_path / "network")
