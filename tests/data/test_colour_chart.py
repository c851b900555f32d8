"""The colour chart: what is on it, and what is read off it."""

from itertools import product

import cv2
import numpy as np

from edsr_int8.data import colour_chart
from edsr_int8.data.colour_chart import MIDDLE, chart, field_means, flat_fields, striped_fields


def test_flat_fields_are_the_grid_of_the_cube() -> None:
    fields = flat_fields(5)
    expected = set(product((0, 64, 128, 191, 255), repeat=3))
    assert {tuple(colour) for colour in fields[:, 0, 0].tolist()} == expected
    assert all((field == field[0, 0]).all() for field in fields)


def test_stripes_are_every_pair_of_corners_both_ways() -> None:
    fields = striped_fields()
    pairs = {frozenset(map(tuple, np.unique(field.reshape(-1, 3), axis=0).tolist())) for field in fields}
    assert len(pairs) == 8 * 7 / 2 and len(fields) == 2 * len(pairs)
    assert np.array_equal(fields[0].transpose(1, 0, 2), fields[len(pairs)])


def test_the_middle_of_a_field_holds_both_stripes_alike() -> None:
    first, second = striped_fields()[0, [0, colour_chart.STRIPE], 0]
    index = len(flat_fields())
    assert np.array_equal(field_means(chart())[index], (first.astype(float) + second) / 2)


def test_flat_fields_keep_their_colour_when_opencv_enlarges_the_chart() -> None:
    enlarged = cv2.resize(chart(), None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC)
    colours = flat_fields()[:, 0, 0]
    assert np.array_equal(field_means(enlarged, 3)[: len(colours)], colours)


def test_what_lies_beside_the_middle_of_a_field_does_not_count() -> None:
    image = chart()
    image[: (colour_chart.FIELD - MIDDLE) // 2] = 255
    assert np.array_equal(field_means(image), field_means(chart()))
