"""From a checkpoint file to our tensors and facts, and refusals; all networks: test_card_networks.py."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from foreign_checkpoints import State, basicsr_state, mean_shift, official_mdsr_state, official_state, trained
from safetensors import safe_open

from edsr_int8.checkpoints.convert import convert
from edsr_int8.checkpoints.facts import read_facts
from edsr_int8.checkpoints.write import write_checkpoint
from edsr_int8.errors import InputError
from edsr_int8.models.build import build
from edsr_int8.models.description import Description

TINY = Description("edsr", 4, 1, 2, 1.0, "pixelshuffle")
DIRECT = replace(TINY, upsampler="direct")
BASELINE = Description("edsr", 64, 16, 2, 1.0, "pixelshuffle")
DEBLUR = Description("edsr", 32, 9, 1, 1.0, "none")
TRAINED = Description("edsr", 16, 3, 2, 1.0, "pixelshuffle")

Make = Callable[[Description, int], State]
R8F64 = replace(BASELINE, blocks=8)


def test_description_json_says_what_follows_from_the_checkpoint(tmp_path: Path) -> None:
    torch.save(official_state(TINY, 1), tmp_path / "weights.pt")
    facts = convert(tmp_path / "weights.pt", "official", TINY, tmp_path / "network")
    digest = hashlib.sha256((tmp_path / "weights.pt").read_bytes()).hexdigest()
    assert (facts.source, facts.weights_sha256, facts.receptive_radius) == ("official", digest, 6)
    assert (facts.network, facts.scale, facts.upsampler) == ("edsr", 2, "pixelshuffle")
    assert read_facts(tmp_path / "network") == facts


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
        write_checkpoint({2: state}, source, TINY, tmp_path / name)
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
        (TINY, "official", official_state, replace(TINY, scale=8), "scale: 8"),
    ],
)
def test_a_checkpoint_for_another_row_says_what_to_change(
    asked: Description, source: str, make: Make, held: Description, fields: str, tmp_path: Path
) -> None:
    text = refusal(make(held, 0), source, asked, tmp_path)
    assert text.endswith(f"; this file needs {fields} in the row")


def refusal(state: State, source: str, description: Description, folder: Path, **stated) -> str:
    """What `convert` says: one line that begins with the file; it writes nothing."""
    torch.save(state, folder / "weights.pt")
    with pytest.raises(InputError) as caught:
        convert(folder / "weights.pt", source, description, folder / "network", **stated)
    text = str(caught.value)
    assert text.startswith(f"{folder / 'weights.pt'}: ")
    assert "\n" not in text and not (folder / "network").exists()
    return text


def test_every_tensor_that_does_not_fit_is_listed(tmp_path: Path) -> None:
    state = official_state(TINY, seed=6)
    del state["head.0.bias"]
    state["tail.2.weight"] = torch.zeros(3)
    state["body.0.body.2.weight"] = torch.zeros(4, 4, 5, 5)
    assert refusal(state, "official", TINY, tmp_path).endswith(
        ": tensors do not fit the row: 1 missing (head.0.bias), 1 unexpected (tail.2.weight), "
        "1 of another shape (body.0.body.2.weight is 4x4x5x5, expected 4x4x3x3)"
    )


def test_a_long_list_is_cut_and_counted(tmp_path: Path) -> None:
    names = [f"body.{i}.body.{j}.{kind}" for i in (2, 3) for j in (0, 2) for kind in ("weight", "bias")]
    state = official_state(TINY, seed=6) | {name: torch.zeros(2) for name in names}
    text = refusal(state, "official", TINY, tmp_path)
    assert "8 unexpected (body.2.body.0.weight; " in text and "; 5 more)" in text


def test_mdsr_without_one_of_its_other_scales_is_refused(tmp_path: Path) -> None:
    mdsr = replace(TINY, network="mdsr")
    state = official_mdsr_state(mdsr, seed=7)
    del state["pre_process.2.0.body.0.weight"]
    text = refusal(state, "official", mdsr, tmp_path)
    assert "1 missing (pre_process.2.0.body.0.weight)" in text


def test_a_description_of_no_network_is_refused_before_the_tensors(tmp_path: Path) -> None:
    text = refusal(official_state(TINY, 0), "official", replace(TINY, scale=5), tmp_path)
    assert "scale: found 5" in text


def test_a_network_without_mean_shift_takes_no_mean(tmp_path: Path) -> None:
    text = refusal(official_state(DIRECT, 0), "official", DIRECT, tmp_path, rgb_mean=(0.5, 0.5, 0.5))
    assert "rgb_mean: the direct upsampler has no mean shift" in text


def words(capsys: pytest.CaptureFixture[str], state: State, folder: Path, **stated) -> str:
    """What a conversion of BasicSR's layout writes to stderr."""
    torch.save(state, folder / "weights.pt")
    source = "basicsr" if "conv_first.weight" in state else "official"
    description = replace(TRAINED, res_scale=stated.pop("res_scale", 1.0))
    convert(folder / "weights.pt", source, description, folder / "network", **stated)
    return capsys.readouterr().err


def test_what_was_tried_and_taken_is_told(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    text = words(capsys, trained("range1_div2k", "basicsr"), tmp_path)
    assert "weights.pt: taken: img_range: 1, rgb_mean: [0.4488, 0.4371, 0.404]; a picture of one grey" in text
    assert "by 0.23 levels with {img_range: 1, " in text


def test_what_the_file_tells_and_trying_confirms_needs_no_word(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    state = trained("range1_div2k", "official") | mean_shift((0.4488, 0.4371, 0.4040))
    assert words(capsys, state, tmp_path) == ""


@pytest.mark.parametrize(
    ("stated", "better"),
    [
        ({"img_range": 255.0, "rgb_mean": (0.4488, 0.4371, 0.404)}, "with img_range: 1, "),
        (
            {"img_range": 1.0, "rgb_mean": (0.0, 0.0, 0.0)},
            "rgb_mean: [0.4488, 0.4371, 0.404], res_scale: 1 it",
        ),
        ({"res_scale": 0.1}, "res_scale: 1 it is 0.23"),
    ],
)
def test_a_row_that_trying_contradicts_is_told(
    stated: dict, better: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    text = words(capsys, trained("range1_div2k", "basicsr"), tmp_path, **stated)
    assert "weights.pt: warning: the row says img_range: " in text and better in text


def test_random_weights_convert_with_a_word(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    text = words(capsys, basicsr_state(TRAINED, 0), tmp_path)
    assert "warning: taken: img_range: 255, rgb_mean: [0.4488, 0.4371, 0.404]; it gives no picture" in text
