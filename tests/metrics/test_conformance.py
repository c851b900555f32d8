"""Two targets' images of one build, against counting by hand."""

from pathlib import Path

import numpy as np
import pytest

from edsr_int8.data.images import write_png
from edsr_int8.errors import InputError
from edsr_int8.files import write_json
from edsr_int8.metrics.conformance import Conformance, compare


def outputs(folder: Path, images: dict[str, np.ndarray], status: str = "ok") -> Path:
    write_json(folder / "status.json", {"status": status})
    for name, image in images.items():
        write_png(folder / f"{name}.png", image)
    return folder


def grey(height: int, width: int) -> np.ndarray:
    return np.full((height, width, 3), 100, np.uint8)


def test_shares_count_pixels_and_differences_grey_levels(tmp_path: Path) -> None:
    changed = grey(2, 5)
    changed[0, 0, 0], changed[1, 1] = 103, 98  # two of ten pixels
    ours = outputs(
        tmp_path / "a", {"evaluation/s/x": changed, "evaluation/s/y": grey(3, 10), "card/s/x": changed}
    )
    exact = outputs(tmp_path / "b", {"evaluation/s/x": grey(2, 5), "evaluation/s/y": grey(3, 10)})
    assert compare(ours, exact) == {"evaluation/s": Conformance(38 / 40, 3)}
    assert compare(exact, exact) == {"evaluation/s": Conformance(1.0, 0)}


def test_there_is_none_with_a_target_that_could_not_run(tmp_path: Path) -> None:
    ours = outputs(tmp_path / "a", {"evaluation/s/x": grey(2, 2)})
    assert compare(ours, outputs(tmp_path / "b", {}, "unavailable: no such thing")) == {}


def test_images_of_other_shapes_are_named(tmp_path: Path) -> None:
    ours = outputs(tmp_path / "a", {"evaluation/s/x": grey(2, 2)})
    exact = outputs(tmp_path / "b", {"evaluation/s/x": grey(2, 3)})
    with pytest.raises(InputError, match=r"s/x\.png: its shape is not that of"):
        compare(ours, exact)
