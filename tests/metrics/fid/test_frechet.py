from pathlib import Path

import numpy as np
import pytest
from scipy import linalg

from edsr_int8.cluster.in_process import InProcess
from edsr_int8.cluster.threads import Threads
from edsr_int8.data.images import write_png
from edsr_int8.metrics.fid.frechet import (
    BATCH,
    Fid,
    Moments,
    fid,
    folder_moments,
    frechet_distance,
    moments,
    patches,
)


def gaussian(mean: np.ndarray, covariance: np.ndarray, count: int = 1000) -> Moments:
    """The statistics of samples that have just this mean and (unbiased) covariance."""
    return Moments(count, count * mean, (count - 1) * covariance + count * np.outer(mean, mean))


def samples(count: int, features: int, seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    return random.normal(size=(count, features)) @ random.normal(size=(features, features)) + random.normal()


def test_diagonal_covariances_give_the_closed_form():
    a, b = np.array([4.0, 1.0, 0.0, 9.0]), np.array([1.0, 25.0, 4.0, 0.0])
    expected = 4 * 0.5**2 + ((np.sqrt(a) - np.sqrt(b)) ** 2).sum()
    distance = frechet_distance(gaussian(np.zeros(4), np.diag(a)), gaussian(np.full(4, 0.5), np.diag(b)))
    assert distance == pytest.approx(expected, rel=1e-9)


def test_full_covariances_equal_scipys_matrix_root():
    x, y = samples(300, 12, 0), samples(200, 12, 1)
    a, b = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    shift = np.square(x.mean(axis=0) - y.mean(axis=0)).sum()
    expected = shift + np.trace(a + b - 2 * linalg.sqrtm(a @ b).real)
    assert frechet_distance(moments(x), moments(y)) == pytest.approx(expected, rel=1e-9)


def test_fewer_samples_than_features_stay_exact():
    """Singular covariances; the trace of the root is then the nuclear norm of the samples' own products."""
    x, y = samples(9, 40, 2), samples(7, 40, 3)
    centred_x, centred_y = x - x.mean(axis=0), y - y.mean(axis=0)
    root = linalg.svdvals(centred_x @ centred_y.T).sum() / np.sqrt(8 * 6)
    spread = np.square(centred_x).sum() / 8 + np.square(centred_y).sum() / 6
    expected = np.square(x.mean(axis=0) - y.mean(axis=0)).sum() + spread - 2 * root
    assert frechet_distance(moments(x), moments(y)) == pytest.approx(expected, rel=1e-9)


def test_a_set_has_no_distance_from_itself():
    x = samples(9, 40, 2)
    assert frechet_distance(moments(x), moments(x)) == pytest.approx(0, abs=1e-9 * np.square(x).sum())


def test_moments_of_parts_add_up_to_numpys_statistics_of_the_whole():
    x = samples(50, 6, 4)
    merged = moments(x[31:]) + moments(x[:17]) + moments(x[17:31])
    assert merged.count == 50
    np.testing.assert_allclose(merged.mean, x.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(merged.covariance, np.cov(x, rowvar=False), rtol=1e-10)


def test_patches_tile_the_image():
    image = np.random.default_rng(0).integers(0, 256, (23, 37, 3)).astype(np.uint8)
    expected = [image[y : y + 10, x : x + 10] for y in (0, 10) for x in (0, 10, 20)]
    np.testing.assert_array_equal(patches(image, 10), expected)
    assert len(patches(image, 24)) == 0


def mean_colour(batch: np.ndarray) -> np.ndarray:
    """Features that a test can work out itself."""
    assert batch.dtype == np.uint8 and len(batch) <= BATCH
    return batch.mean(axis=(1, 2), dtype=np.float32)


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    random = np.random.default_rng(5)
    for folder, spread in (("outputs", 90), ("references", 120)):
        for name in ("a", "sequence/b"):
            write_png(
                tmp_path / folder / f"{name}.png", random.integers(spread, 256, (33, 64, 3)).astype(np.uint8)
            )
    return tmp_path / "outputs", tmp_path / "references"


def test_folders_are_compared_by_all_their_patches(folders):
    features = []
    found = fid(*folders, lambda batch: features.append(mean_colour(batch)) or features[-1], side=8)
    assert found.patches == 2 * 4 * 8
    ours, theirs = np.concatenate(features)[:64], np.concatenate(features)[64:]
    assert found.distance == pytest.approx(frechet_distance(moments(ours), moments(theirs)), rel=1e-6)


def test_some_patches_are_spread_evenly_and_at_equal_places(folders):
    """Of 2 x 32 patches every fourth: counted along both images, the fourth, the eighth, ..."""
    paths = sorted(folders[0].rglob("*.png"))
    every, some = [], []
    folder_moments(paths, lambda batch: every.extend(batch) or mean_colour(batch), side=8)
    found = folder_moments(paths, lambda batch: some.extend(batch) or mean_colour(batch), side=8, most=16)
    assert found.count == 16
    np.testing.assert_array_equal(some, every[3::4])
    assert folder_moments(paths, mean_colour, side=8, most=1000).count == 64


def test_any_executor_gives_the_same_bits(folders):
    here = fid(*folders, mean_colour, side=8)
    assert fid(*folders, mean_colour, side=8, executor=Threads(3)) == here


def test_early_results_wait_for_their_turn(folders):
    """Sums of floats depend on their order: that of the paths, whichever image is ready first."""
    paths = sorted(folders[0].rglob("*.png"))

    class Backwards(InProcess):
        def map(self, work, items, desc, *, done=0):
            return super().map(work, items[::-1], desc, done=done)

    here, backwards = (
        folder_moments(paths, mean_colour, side=8, executor=e) for e in (InProcess(), Backwards())
    )
    assert np.array_equal(here.total, backwards.total) and np.array_equal(here.products, backwards.products)


def test_images_smaller_than_a_patch_give_a_reason_and_no_number(folders):
    assert fid(*folders, mean_colour, side=40) == Fid(None, 0, "needs at least 2 patches of 40x40 pixels")
    assert folder_moments([], mean_colour, side=8) is None
