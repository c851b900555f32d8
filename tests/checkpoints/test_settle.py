"""What no tensor tells, found by trying, on networks that were trained with it: trained/ and data/weights."""

from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from foreign_checkpoints import State, mean_shift, official_state, trained

from edsr_int8.checkpoints.checkpoint import open_unknown
from edsr_int8.checkpoints.settle import Stated, Verdict, settle
from edsr_int8.models.description import Description

DIV2K, NO_MEAN, HALF = (0.4488, 0.4371, 0.4040), (0.0, 0.0, 0.0), (0.5, 0.5, 0.5)
WEIGHTS = Path(__file__).resolve().parents[2] / "data" / "weights"


@dataclass(frozen=True)
class Truth:
    img_range: float
    rgb_mean: tuple[float, float, float]
    res_scale: float = 1.0


TRUTHS = {
    "range1_div2k": Truth(1, DIV2K),
    "range1_div2k_res01": Truth(1, DIV2K, 0.1),
    "range1_div2k_x1": Truth(1, DIV2K),
    "range1_mean0": Truth(1, NO_MEAN),
    "range1_mean0_grey": Truth(1, NO_MEAN),
    "range255_mean0": Truth(255, NO_MEAN),
    "range2_half": Truth(2, HALF),
}


def tried(state: State, folder: Path, stated: Stated | None = None) -> Verdict:
    torch.save(state, folder / "weights.pt")
    return settle(open_unknown(folder / "weights.pt", scale=None), stated or Stated())


def truth(verdict: Verdict) -> Truth:
    chosen = verdict.chosen
    return Truth(chosen.convention.img_range, chosen.convention.rgb_mean, chosen.res_scale)


@pytest.mark.parametrize("name", TRUTHS)
@pytest.mark.parametrize("publisher", ["basicsr", "mmagic"])
def test_names_that_store_no_mean(publisher: str, name: str, tmp_path: Path) -> None:
    if publisher == "mmagic" and name.endswith("x1"):
        return  # it has no network of this kind
    verdict = tried(trained(name, publisher), tmp_path)
    assert verdict.sure and truth(verdict) == TRUTHS[name]


@pytest.mark.parametrize("name", [name for name in TRUTHS if "mean0" not in name])
def test_official_names_with_the_mean_stored(name: str, tmp_path: Path) -> None:
    shift = mean_shift(tuple(TRUTHS[name].img_range * x for x in TRUTHS[name].rgb_mean))
    verdict = tried(trained(name, "official") | shift, tmp_path)
    assert verdict.sure and truth(verdict) == TRUTHS[name]


@pytest.mark.parametrize("name", [name for name in TRUTHS if "mean0" in name])
def test_official_names_without_a_mean(name: str, tmp_path: Path) -> None:
    verdict = tried(trained(name, "official"), tmp_path)
    assert verdict.sure and truth(verdict) == TRUTHS[name]


@pytest.mark.parametrize("name", ["range1_mean0", "range255_mean0"])
def test_official_names_with_a_mean_that_is_not_used(name: str, tmp_path: Path) -> None:
    """super-image."""
    verdict = tried(trained(name, "official") | mean_shift(), tmp_path)
    assert verdict.sure and truth(verdict) == TRUTHS[name]


@pytest.mark.parametrize("file", ["edsr_x2_sample.pt", "edsr_x1_sample.pth"])
def test_the_sample_networks(file: str) -> None:
    verdict = settle(open_unknown(WEIGHTS / file, scale=None), Stated())
    assert verdict.sure and truth(verdict) == Truth(255, DIV2K)


@pytest.mark.parametrize("res_scale", [0.5, 0.2, 0.1])
def test_res_scale_of_the_sample_network(res_scale: float, tmp_path: Path) -> None:
    """What is multiplied by 0.1 after ten times the weights is the same network."""
    state = torch.load(WEIGHTS / "edsr_x2_sample.pt", weights_only=True)
    divided = {n: t.float() / res_scale if ".body.2." in n else t.float() for n, t in state.items()}
    verdict = tried(divided, tmp_path)
    assert verdict.sure and truth(verdict) == Truth(255, DIV2K, res_scale)


def test_what_is_stated_is_kept_and_a_better_candidate_named(tmp_path: Path) -> None:
    verdict = tried(trained("range1_div2k", "basicsr"), tmp_path, Stated(1.0, 255, DIV2K))
    assert truth(verdict) == Truth(255, DIV2K)
    assert verdict.better is not None and verdict.better.convention.img_range == 1


def test_weights_that_are_no_network_of_pictures_settle_nothing(tmp_path: Path) -> None:
    description = Description("edsr", 6, 2, 2, 1.0, "pixelshuffle")
    verdict = tried(official_state(description, 0), tmp_path)
    assert verdict.no_picture and not verdict.sure and not verdict.fits
    assert truth(verdict) == Truth(255, DIV2K)


def test_biases_of_zero_make_no_difference_to_the_range(tmp_path: Path) -> None:
    """Candidates whose outputs are equal are no rivals."""
    state = {n: t if n.endswith("weight") else 0 * t for n, t in trained("range1_mean0", "official").items()}
    verdict = tried(state, tmp_path)
    assert verdict.rival is None and verdict.chosen.convention.img_range == 255


def test_a_network_that_fits_badly_but_tells_all_that_matters_is_sure(tmp_path: Path) -> None:
    """Its mean is stored in a range of 1, and its blocks add next to nothing, whatever their res_scale."""
    state = trained("range1_div2k", "official") | mean_shift(DIV2K)
    faint = {n: 1e-4 * t if ".body." in n else t for n, t in state.items()}
    verdict = tried(faint, tmp_path)
    assert verdict.sure and not verdict.fits and truth(verdict) == Truth(1, DIV2K)
