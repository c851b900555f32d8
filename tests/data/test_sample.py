"""The sample photographs: scikit-image's own loaders and its registry of hashes are the authority."""

from pathlib import Path

import numpy as np
import pytest
import skimage.data
from skimage.data._registry import registry

from edsr_int8.data import sample
from edsr_int8.data.images import read_rgb
from edsr_int8.errors import InputError


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("sample") / "out"
    sample.make_sample(out)
    return out


def test_photographs_are_those_that_scikit_image_loads(made: Path) -> None:
    names = {path.relative_to(made).with_suffix("").as_posix() for path in made.rglob("*.png")}
    assert names == {
        *(f"evaluation/{name}" for name in ("astronaut", "chelsea", "coffee", "rocket")),
        *(f"calibration/motorcycle_{side}" for side in ("left", "right")),
        *(f"calibration/{name}" for name in ("hubble_deep_field", "ihc", "retina")),
    }
    for name in ("astronaut", "chelsea", "coffee", "rocket"):
        np.testing.assert_array_equal(
            read_rgb(made / f"evaluation/{name}.png"), getattr(skimage.data, name)()
        )
    centre = skimage.data.retina()[449:961, 449:961]  # of 1411
    np.testing.assert_array_equal(read_rgb(made / "calibration/retina.png"), centre)


def test_hashes_are_those_of_scikit_images_registry() -> None:
    pinned = sample.EVALUATION | sample.CALIBRATION
    assert pinned == {name: registry[f"data/{name}"] for name in pinned}


def test_made_twice_it_has_the_same_bytes(made: Path, tmp_path: Path) -> None:
    sample.make_sample(tmp_path / "again")
    for path in made.rglob("*.png"):
        assert (tmp_path / "again" / path.relative_to(made)).read_bytes() == path.read_bytes()


@pytest.mark.parametrize("content", [None, b"another photograph"])
def test_other_photographs_are_refused_and_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None
) -> None:
    if content:
        (tmp_path / "astronaut.png").write_bytes(content)
    monkeypatch.setattr(sample, "PHOTOGRAPHS", tmp_path)
    with pytest.raises(InputError, match=r"astronaut\.png: .*pip install scikit-image==0\.26\.0"):
        sample.make_sample(tmp_path / "out")
    assert not list(tmp_path.glob("*out*")) and not list(tmp_path.glob(".*"))
