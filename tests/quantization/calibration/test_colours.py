"""Ranges over all colours: what a network does to the colour chart, and how far ranges are widened for it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edsr_int8.cluster.in_process import InProcess
from edsr_int8.errors import InputError
from edsr_int8.quantization.calibration.colours import colour_ranges, covering
from edsr_int8.quantization.calibration.histogram import load_colours, save
from edsr_int8.quantization.calibration.observe import observe
from edsr_int8.quantization.ir.layers import IMAGE, Conv, Network


def test_the_range_of_a_colour_difference_is_that_of_the_cube() -> None:
    """Red minus blue: -255 on blue, 255 on red. Away from borders nothing else is on a flat field."""
    weight = np.zeros((1, 3, 1, 1))
    weight[0, :, 0, 0] = (1, 0, -1)
    network = Network((Conv("t", (IMAGE,), weight, np.zeros(1)),), {})
    assert colour_ranges(network, ["t"]) == {"t": (-255.0, 255.0)}


def test_stripes_drive_an_edge_further_than_flat_fields() -> None:
    """Where a red stripe ends; a flat field has edges at its border only, against zero padding."""
    weight = np.zeros((1, 3, 1, 3))
    weight[0, :, 0, 0], weight[0, :, 0, 2] = (1, -1, 0), (-1, 1, 0)
    network = Network((Conv("edge", (IMAGE,), weight, np.zeros(1)),), {})
    assert colour_ranges(network, ["edge"]) == {"edge": (-255.0, 255.0)}
    assert colour_ranges(network, ["edge"], stripes=True) == {"edge": (-510.0, 510.0)}


@pytest.mark.parametrize(
    ("part", "expected"), [(0.0, (-10.0, 20.0)), (1.0, (-40.0, 20.0)), (0.5, (-24.0, 20.0))]
)
def test_a_range_is_widened_by_ratio_and_never_narrowed(part: float, expected: tuple[float, float]) -> None:
    found = covering({"t": (-10.0, 20.0)}, {"t": (-40.0, 5.0)}, part)["t"]
    assert found == pytest.approx(expected)


def test_a_narrow_range_reaches_most_of_the_way_at_any_rate() -> None:
    assert covering({"t": (-1.0, 1.0)}, {"t": (-100.0, 1.0)}, 0.5)["t"] == pytest.approx((-60.0, 1.0))


def test_an_end_at_zero_moves_in_proportion() -> None:
    assert covering({"t": (0.0, 1.0)}, {"t": (-8.0, 1.0)}, 0.5)["t"] == pytest.approx((-4.8, 1.0))


def test_observe_keeps_them_beside_the_histograms(
    float_graphs: Callable[[str], Path], images: list[Path], tmp_path: Path
) -> None:
    observe(float_graphs("x1"), images, tmp_path / "h.npz", executor=InProcess(1))
    found = load_colours(tmp_path / "h.npz")
    assert all(low <= 0 <= high for low, high in found.values())
    assert found["body.0.conv1"][0] == 0 < found["body.0.conv1"][1]


def test_histograms_without_them_are_refused_by_name(tmp_path: Path, images: list[Path]) -> None:
    from edsr_int8.quantization.calibration.counting import count

    save(tmp_path / "h.npz", {"t": count(np.ones(1, np.float32))}, weights_sha256="0a")
    with pytest.raises(InputError, match=r"h\.npz: not what observe writes .*not measured"):
        load_colours(tmp_path / "h.npz")
