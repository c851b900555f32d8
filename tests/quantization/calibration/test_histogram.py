"""Streaming histograms: against numpy on real activations, and as sums that know no order."""

import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from edsr_int8.errors import InputError
from edsr_int8.quantization.calibration.counting import count
from edsr_int8.quantization.calibration.histogram import Histogram, load, percentile, save

PERCENTS = (0, 0.001, 0.1, 1, 25, 50, 75, 99, 99.9, 99.999, 100)
RESOLUTION = 2**-8
SMALLEST = float(np.finfo(np.float32).tiny)

finite = st.floats(width=32, allow_nan=False, allow_infinity=False)
tensors = arrays(np.float32, st.integers(1, 40), elements=finite)


def equal(a: Histogram, b: Histogram) -> bool:
    return bool((a.counts == b.counts).all()) and (a.low, a.high) == (b.low, b.high)


@pytest.mark.parametrize("kind", ["signed", "after_relu"])
def test_percentiles_of_activations_are_numpys(portrait: np.ndarray, kind: str) -> None:
    # The Laplacian of a photograph is distributed as a convolution's output is.
    image = portrait.astype(np.float32)
    values = 4 * image[1:-1, 1:-1] - image[2:, 1:-1] - image[:-2, 1:-1] - image[1:-1, 2:] - image[1:-1, :-2]
    values = np.ascontiguousarray(values * 0.37 if kind == "signed" else np.maximum(values * 0.37, 0))
    found = [percentile(count(values), percent) for percent in PERCENTS]
    np.testing.assert_allclose(found, np.percentile(values, PERCENTS), rtol=RESOLUTION, atol=0)


@given(tensors, st.floats(0, 100))
def test_percentile_of_one_sign_is_within_the_resolution(values: np.ndarray, percent: float) -> None:
    values = np.abs(values)
    exact = float(np.percentile(values.astype(np.float64), percent))
    within = RESOLUTION * (1 + 1e-9)  # it may be met, but for a float's own rounding
    assert percentile(count(values), percent) == pytest.approx(exact, rel=within, abs=SMALLEST)


@given(tensors)
def test_ends_are_exact(values: np.ndarray) -> None:
    ends = percentile(count(values), 0), percentile(count(values), 100)
    assert ends == (values.min(), values.max())


@given(tensors, st.permutations(range(5)))
def test_chunks_in_any_order_add_up(values: np.ndarray, order: list[int]) -> None:
    chunks = [chunk for chunk in np.array_split(values, 5) if chunk.size]
    total = count(chunks[0])
    for chunk in chunks[1:]:
        total = total + count(chunk)
    shuffled = [count(np.array_split(values, 5)[i]) for i in order if np.array_split(values, 5)[i].size]
    other = sum(shuffled[1:], shuffled[0])
    assert equal(total, count(values))
    assert equal(other, total)


def test_counts_are_exact_beyond_what_float32_counts() -> None:
    # 2^24 + 1 equal values: a float32 counter would stop at 2^24.
    values = np.full(2**24 + 1, 3.5, np.float32)
    assert count(values).counts.sum() == 2**24 + 1


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_no_numbers_are_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="NaN or infinity"):
        count(np.array([0, bad, 1], np.float32))


def test_file_gives_back_what_was_saved(tmp_path: Path) -> None:
    histograms = {"b": count(np.float32([1, 2, 2])), "a": count(np.float32([-3.7, 0]))}
    save(tmp_path / "h.npz", histograms, weights_sha256="0a")
    loaded = load(tmp_path / "h.npz", weights_sha256="0a")
    assert loaded.keys() == histograms.keys()
    assert all(equal(loaded[name], histograms[name]) for name in histograms)


def test_bytes_depend_on_the_values_alone(tmp_path: Path) -> None:
    save(
        tmp_path / "a.npz",
        {"x": count(np.float32([0.0, -0.0, 1])), "y": count(np.float32([2]))},
        weights_sha256="",
    )
    save(
        tmp_path / "b.npz",
        {"y": count(np.float32([2])), "x": count(np.float32([-0.0, 1, 0.0]))},
        weights_sha256="",
    )
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    with zipfile.ZipFile(tmp_path / "a.npz") as archive:
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_other_weights_are_refused(tmp_path: Path) -> None:
    save(tmp_path / "h.npz", {"x": count(np.float32([1]))}, weights_sha256="0a")
    with pytest.raises(InputError, match="run observe again"):
        load(tmp_path / "h.npz", weights_sha256="0b")


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04"])
def test_file_of_something_else_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "h.npz").write_bytes(content)
    with pytest.raises(InputError, match=r"h\.npz"):
        load(tmp_path / "h.npz", weights_sha256="")


def test_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="observe"):
        load(tmp_path / "h.npz", weights_sha256="")
