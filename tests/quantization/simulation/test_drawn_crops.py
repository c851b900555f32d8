"""Crops that are drawn: their colours and their lines."""

import numpy as np
import torch

from edsr_int8.quantization.simulation.drawn_crops import colour_crops, line_crops


def test_colour_crops_have_one_colour_or_two_corners_of_the_cube() -> None:
    for crop in colour_crops(40, 16, np.random.default_rng(0)):
        found = torch.unique(crop.flatten(1), dim=1)
        assert found.shape[1] == 1 or (found.shape[1] == 2 and set(found.flatten().tolist()) <= {0, 255})


def test_lines_are_thin_and_of_two_colours() -> None:
    """Every value lies between two colours, and most crops change within a pixel or two."""
    crops = line_crops(60, 32, np.random.default_rng(0)).double()
    assert crops.shape == (60, 3, 32, 32)
    for crop in crops:
        pixels = crop.flatten(1).T
        _, spread, _ = torch.linalg.svd(pixels - pixels.mean(0), full_matrices=False)
        assert spread[1] < 0.03 * spread[0] + 30  # in one direction of the RGB cube, but for rounding
    steps = (crops[..., 1:] - crops[..., :-1]).abs().amax(dim=(1, 2, 3))
    assert steps.median() > 100


def test_the_seed_tells_the_lines() -> None:
    one, same, other = (line_crops(4, 16, np.random.default_rng(seed)) for seed in (0, 0, 1))
    assert torch.equal(one, same) and not torch.equal(one, other)
