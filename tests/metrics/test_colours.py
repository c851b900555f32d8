"""Shifts of the colour chart: known shifts of known fields."""

from pathlib import Path

import numpy as np
import pytest

from edsr_int8.data.colour_chart import FIELD, chart, field_means
from edsr_int8.data.images import Image, read_rgb, write_png
from edsr_int8.errors import InputError
from edsr_int8.metrics.colours import SHIFTS, colour_shifts, write_chart, write_pictures


def outputs(folder: Path, image: Image) -> Path:
    """What `infer` writes for the chart."""
    write_png(folder / "colours/chart/chart.png", image)
    return folder


def test_the_chart_is_an_input_like_those_of_data_sets(tmp_path: Path) -> None:
    write_chart(tmp_path)
    assert np.array_equal(read_rgb(tmp_path / "colours/chart/lr/chart.png"), chart())


def test_a_shift_is_that_of_the_channel_that_differs_most(tmp_path: Path) -> None:
    shifted = chart()
    shifted[:FIELD, FIELD : 2 * FIELD] += np.array([3, 0, 5], np.uint8)
    found = colour_shifts(outputs(tmp_path / "int8", shifted), outputs(tmp_path / "fp32", chart()), 1)
    assert found == (0.0, 5.0, *[0.0] * (len(field_means(chart())) - 2))


def test_noise_that_cancels_out_shifts_nothing(tmp_path: Path) -> None:
    """A colour is what one sees of a field: its mean."""
    grey = np.full((chart().shape[0] * 2, chart().shape[1] * 2, 3), 100, np.uint8)
    noisy = grey.copy()
    noisy[::2] += 4
    noisy[1::2] -= 4
    found = colour_shifts(outputs(tmp_path / "int8", noisy), outputs(tmp_path / "fp32", grey), 2)
    assert set(found) == {0.0}


def test_a_target_without_a_chart_has_no_shifts(tmp_path: Path) -> None:
    (tmp_path / "vacc").mkdir()
    assert colour_shifts(tmp_path / "vacc", outputs(tmp_path / "fp32", chart()), 1) == ()


def test_a_chart_of_another_scale_is_refused(tmp_path: Path) -> None:
    both = outputs(tmp_path, chart())
    with pytest.raises(InputError, match=r"chart.png: is no chart of 672x624 pixels; run infer again$"):
        colour_shifts(both, both, 2)


def test_the_picture_is_black_where_nothing_shifts_and_white_from_eight_levels_on(tmp_path: Path) -> None:
    shifts = [0.0, 2.0, 8.0, 100.0, *[0.0] * (len(field_means(chart())) - 4)]
    write_pictures(shifts, tmp_path)
    assert read_rgb(tmp_path / SHIFTS)[0, :5].tolist() == [[v] * 3 for v in (0, 64, 255, 255, 0)]
