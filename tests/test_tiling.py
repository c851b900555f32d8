"""Tiles against the untiled picture, and tile shapes against the budget."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from edsr_int8.errors import InputError
from edsr_int8.models.description import Description
from edsr_int8.models.edsr import EDSR, receptive_radius
from edsr_int8.tiling import MIB, MIN_KEPT, apply_tiled, spans, tile_shape, tiles


@given(length=st.integers(1, 200), tile=st.integers(1, 200), radius=st.integers(0, 20))
def test_spans_keep_every_pixel_once_and_read_its_surroundings(length: int, tile: int, radius: int) -> None:
    tile = min(max(tile, 2 * radius + 1), length)
    found = spans(length, tile, radius)
    assert [pixel for span in found for pixel in range(span.first, span.last)] == list(range(length))
    for span in found:
        assert span.stop - span.start == tile
        assert span.start >= 0 and span.stop <= length
        assert span.start <= max(span.first - radius, 0)
        assert span.stop >= min(span.last + radius, length)


def test_tiles_cover_the_plane_once() -> None:
    seen = np.zeros((37, 51), int)
    for down, across in tiles(37, 51, 17, 20, 5):
        seen[down.first : down.last, across.first : across.last] += 1
    assert (seen == 1).all()


def test_an_image_smaller_than_the_tile_is_refused() -> None:
    with pytest.raises(InputError, match=r"has 20 pixels where the fixed tile has 32"):
        tiles(20, 64, 32, 32, 4)
    with pytest.raises(InputError, match=r"has 20 pixels where the fixed tile has 32"):
        tiles(20, 64, 32, 8, 4)  # whatever the other length


def test_a_fixed_tile_that_is_all_halo_is_refused() -> None:
    with pytest.raises(InputError, match=r"a tile of 40 pixels keeps nothing at a receptive radius of 20"):
        tiles(64, 64, 40, 40, 20)


@given(
    height=st.integers(1, 300),
    width=st.integers(1, 300),
    radius=st.integers(0, 30),
    budget=st.integers(1, 200),
)
def test_a_tile_shape_fits_the_budget_or_names_one_that_does(
    height: int, width: int, radius: int, budget: int
) -> None:
    def shape(budget_mb: int) -> tuple[int, int]:
        return tile_shape(
            height,
            width,
            radius=radius,
            budget_bytes=budget_mb * MIB,
            bytes_per_pixel=5000,
            fixed_bytes=7 * MIB,
        )

    try:
        tall, wide = shape(budget)
    except InputError as error:
        enough = int(str(error).rsplit(" ", 1)[1])
        assert enough > budget
        tall, wide = shape(budget := enough)
        with pytest.raises(InputError):
            shape(enough - 1)
    assert tall * wide * 5000 + 7 * MIB <= budget * MIB
    assert tall <= height and wide <= width
    assert len(tiles(height, width, tall, wide, radius)) >= 1


@given(width=st.integers(50, 90), budget=st.integers(700, 5000))
@settings(max_examples=20)
def test_the_tile_shape_computes_the_fewest_pixels(width: int, budget: int) -> None:
    height, radius = 60, 5

    def computed(tall: int, wide: int) -> int:
        return len(tiles(height, width, tall, wide, radius)) * tall * wide

    chosen = tile_shape(height, width, radius=radius, budget_bytes=budget, bytes_per_pixel=1)
    least = 2 * radius + MIN_KEPT
    every = [(t, w) for t in range(least, height + 1) for w in range(least, width + 1) if t * w <= budget]
    assert computed(*chosen) == min(computed(*shape) for shape in every)


@pytest.mark.parametrize(
    "upsampler, scale", [("pixelshuffle", 2), ("pixelshuffle", 4), ("direct", 3), ("none", 1)]
)
def test_tiles_of_a_network_equal_the_untiled_picture(upsampler: str, scale: int) -> None:
    """Integer weights in float64: every sum is exact, so equality is to the last bit."""
    torch.manual_seed(0)
    description = Description("edsr", 4, 2, scale, 1.0, upsampler)
    network = EDSR(description).double().eval()
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            layer.weight.data = torch.randint(-3, 4, layer.weight.shape).double()
            layer.bias.data = torch.randint(-9, 10, layer.bias.shape).double()

    @torch.no_grad()
    def run(image: np.ndarray) -> np.ndarray:
        return network(torch.from_numpy(image).double()).remainder(251).numpy()

    image = np.random.default_rng(0).integers(0, 256, (1, 3, 47, 60), dtype=np.uint8)
    radius = receptive_radius(description)
    for tile in [(2 * radius + 1, 2 * radius + 9), (47, 30), (29, 60), (40, 41)]:
        tiled = apply_tiled(run, image, scale=scale, radius=radius, tile=tile)
        assert np.array_equal(tiled, run(image))


def test_a_halo_one_pixel_short_shows() -> None:
    """The receptive radius is no more than it must be: with one less, tiles leave a seam."""
    torch.manual_seed(0)
    description = Description("edsr", 4, 2, 1, 1.0, "none")
    network = EDSR(description).double().eval()
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            layer.weight.data.abs_()

    @torch.no_grad()
    def run(image: np.ndarray) -> np.ndarray:
        return network(torch.from_numpy(image).double()).numpy()

    image = np.full((1, 3, 40, 40), 255, np.uint8)
    radius = receptive_radius(description)
    short = apply_tiled(run, image, scale=1, radius=radius - 1, tile=(24, 24))
    assert np.abs(short - run(image)).max() > 1e-6
