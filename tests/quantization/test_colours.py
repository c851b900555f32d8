"""Flat colours of the RGB cube through an int8 build, whatever it was calibrated on."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from int8_build import build, observed
from reference import by_onnxruntime

from edsr_int8.data.colour_chart import flat_fields
from edsr_int8.quantization.recipe import Recipe

PLAIN = Recipe("int8", "percentile", 99.999, fold_long_skip=True, fold_head=True)


def colours(graph: Path) -> np.ndarray:
    """The mean colour of the middle of each field, as the graph's image shows it: fields x 3."""
    fields = flat_fields(2)
    images = np.concatenate([by_onnxruntime(graph, field) for field in fields])
    middle = np.clip(np.rint(images[:, :, 16:32, 16:32].astype(float)), 0, 255)
    means: np.ndarray = middle.mean(axis=(2, 3))
    return means


def test_the_corners_of_the_cube_nearly_stay_on_a_network_that_saw_grey_alone(
    real_graphs: Callable[[str], Path], portrait: np.ndarray, tmp_path: Path
) -> None:
    grey = np.repeat(portrait[40:104, 40:104, :1] // 2 + 64, 3, axis=2)
    graph = real_graphs("r8f64")
    calibration = observed(graph, tmp_path, grey)
    expected = colours(graph)
    shifts = [
        np.abs(colours(build(recipe, calibration, tmp_path / name)) - expected).max()
        for name, recipe in {"plain": PLAIN, "covering": replace(PLAIN, cover_colours=True)}.items()
    ]
    assert shifts[0] > 40 and shifts[1] < 5  # grey levels; calibrated on colours it is half a level
