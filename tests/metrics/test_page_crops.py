from pathlib import Path

import numpy as np
import pytest

from edsr_int8.data.degrade.bicubic import enlarge
from edsr_int8.data.images import write_png
from edsr_int8.metrics.evaluate import Folders
from edsr_int8.metrics.page_crops import crops, detailed_window


def plain_with_texture(top: int, left: int) -> np.ndarray:
    """A grey 300x400 picture with one textured square of 96 pixels."""
    image = np.full((300, 400, 3), 90, np.uint8)
    image[top : top + 96, left : left + 96] = np.random.default_rng(0).integers(0, 256, (96, 96, 3))
    return image


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    """The first of two names is `a/x`; low-resolution pixels are every second of the reference."""
    found = Folders(*(tmp_path / name for name in ("lr", "hr", "outputs")))
    for name, reference in (("a/x", plain_with_texture(150, 250)), ("b", plain_with_texture(0, 0))):
        write_png(found.hr / f"{name}.png", reference)
        write_png(found.lr / f"{name}.png", reference[::2, ::2].copy())
        write_png(found.outputs / f"{name}.png", 255 - reference)
    return found


def test_the_window_is_where_the_texture_is():
    rows, columns = detailed_window(plain_with_texture(150, 250), side=96, step=1)
    assert abs(rows.start - 150) <= 1 and abs(columns.start - 250) <= 1


def test_the_window_is_the_best_of_all_searched_one_by_one():
    image = np.random.default_rng(0).integers(0, 256, (25, 31, 3)).astype(np.uint8)
    grey = image.astype(int).sum(axis=2)
    detail = np.zeros(grey.shape, int)
    detail[:-1] += abs(np.diff(grey, axis=0))
    detail[:, :-1] += abs(np.diff(grey, axis=1))
    places = [(top, left) for top in range(0, 16, 3) for left in range(0, 22, 3)]
    best = max(places, key=lambda place: detail[place[0] : place[0] + 9, place[1] : place[1] + 9].sum())
    rows, columns = detailed_window(image, side=10, step=3)
    assert (rows, columns) == (slice(best[0], best[0] + 9), slice(best[1], best[1] + 9))


def test_all_crops_show_the_same_place_of_the_first_image(folders):
    shown = crops(folders, scale=2)
    assert {name: image.shape[:2] for name, image in shown.items()} == {
        "input": (96, 96), "bicubic": (192, 192), "output": (192, 192), "reference": (192, 192),
    }  # fmt: skip
    np.testing.assert_array_equal(shown["output"], 255 - shown["reference"])
    np.testing.assert_array_equal(shown["input"], shown["reference"][::2, ::2])
    inside = np.s_[8:-8, 8:-8]  # the crop's own border is enlarged from less than the image has
    np.testing.assert_array_equal(shown["bicubic"][inside], enlarge(shown["input"], 2)[inside])


def test_without_enlargement_the_input_stands_for_the_bicubic(folders):
    blurred = Folders(lr=folders.outputs, hr=folders.hr, outputs=folders.outputs)
    shown = crops(blurred, scale=1)
    np.testing.assert_array_equal(shown["bicubic"], shown["input"])


def test_a_picture_smaller_than_the_window_is_shown_whole_up_to_the_scale():
    image = np.zeros((50, 301, 3), np.uint8)
    assert detailed_window(image, side=192, step=3) == (slice(0, 48), slice(0, 192))
