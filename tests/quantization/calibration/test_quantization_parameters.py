"""From histograms to grids: of one scale group, of a folded long skip, and of another network."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from int8_build import observed
from reference import output

from edsr_int8.errors import InputError
from edsr_int8.quantization.calibration.histogram import BINS, Histogram
from edsr_int8.quantization.calibration.quantization_parameters import choose_grids, load_histograms
from edsr_int8.quantization.ir.layers import Network
from edsr_int8.quantization.ir.scale_groups import calibrated
from edsr_int8.quantization.recipe import MODEL_CARD, Recipe
from edsr_int8.quantization.rewrites.fold_long_skip import fold_long_skip, on_grids

Networks = Callable[[str], Network]
Graphs = Callable[[str], Path]


def test_unified_tensors_get_the_grid_of_the_sum(
    float_graphs: Graphs, networks: Networks, portrait: np.ndarray, tmp_path: Path
) -> None:
    network = networks("x1")
    histograms = load_histograms(observed(float_graphs("x1"), tmp_path, portrait).histograms, network)
    own, unified = (
        choose_grids(network, histograms, Recipe("int8", "percentile", 99.9, unify_scales=unify))
        for unify in (False, True)
    )
    assert unified == own | dict.fromkeys(("head", "body_end"), own["body_end.add"])


def test_tensor_beside_taps_gets_room_above_zero(networks: Networks, portrait: np.ndarray) -> None:
    """Even where the trunk has only negative values."""
    folded = fold_long_skip(networks("x1"))
    negative = Histogram(np.zeros(BINS, np.int64), -9.0, 0.0)
    negative.counts[np.array([-9.0], np.float32).view(np.uint16)[1]] = 5
    found = choose_grids(folded, dict.fromkeys(calibrated(folded), negative), MODEL_CARD)
    assert found["head"].zero_point == 255 and found["body_end"].zero_point < 200
    image = portrait[60:70, 40:49]
    assert np.abs(output(folded, image) - output(on_grids(folded, found), image)).max() < 1e-9


def test_a_power_of_two_is_not_halved_below_what_flat_colours_need(networks: Networks) -> None:
    """One value in 5,000 is at 120, the others within 1: rounding these twice as finely is worth the clip."""
    network = networks("x1")
    rare = Histogram(np.zeros(BINS, np.int64), -120.0, 120.0)
    bits = np.array([-1.0, 1.0, 120.0], np.float32).view(np.uint16)[1::2]
    rare.counts[bits] = 500_000, 500_000, 1
    histograms = dict.fromkeys(calibrated(network), rare)
    recipe = Recipe("int8", "minmax", scheme="int8_power_of_two")
    narrow, wide = (
        choose_grids(network, histograms, recipe, colours=dict.fromkeys(histograms, (-limit, limit)))
        for limit in (100.0, 110.0)
    )
    assert {grid.scale for grid in narrow.values()} == {0.5}
    assert {grid.scale for grid in wide.values()} == {1.0}


def test_sweep_with_rounded_weights_keeps_the_scale_that_is_in_them(
    float_graphs: Graphs, networks: Networks, portrait: np.ndarray, tmp_path: Path
) -> None:
    folded, swept = fold_long_skip(networks("x1")), Recipe("int8", "percentile", 90.0)
    histograms = load_histograms(observed(float_graphs("x1"), tmp_path, portrait).histograms, folded)
    ours, card = (
        choose_grids(folded, histograms, each, weights_are_rounded=True) for each in (swept, MODEL_CARD)
    )
    assert ours["body_end"] == card["body_end"] and ours["head"] != card["head"]
    assert choose_grids(folded, histograms, swept)["body_end"] != card["body_end"]


def test_histograms_of_another_network_are_refused(
    float_graphs: Graphs, networks: Networks, portrait: np.ndarray, tmp_path: Path
) -> None:
    histograms = observed(float_graphs("x1"), tmp_path, portrait[:8, :8]).histograms
    with pytest.raises(InputError, match=r"h.*\.npz: has no tensor pre\.0\.conv1; run observe again"):
        load_histograms(histograms, networks("mdsr"))
