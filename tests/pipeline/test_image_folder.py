"""Patterns for folders as users have them, by the files that data sets then find."""

from pathlib import Path

import pytest

from edsr_int8.data.pairs.patterns import find_files
from edsr_int8.errors import InputError
from edsr_int8.pipeline.image_folder import patterns


def folder_of(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (("a.png", "b.PNG", "notes.txt", "Thumbs.db", "._a.png"), ("*.png", "")),
        (("a.png", "b.jpg"), ("*", "")),
        (("a/1.png", "b/2.png", "readme.md"), ("**/*.png", "")),
        (("HR/1.png", "LR_bicubic/X2/1.png"), ("HR/*.png", "")),
        (("sharp/1.png", "blur/1.png"), ("sharp/*.png", "blur/*.png")),
        (("gt/x/1.png", "lq/x/1.jpg"), ("gt/**/*.png", "lq/**/*.jpg")),
    ],
)
def test_a_folder_gives_the_patterns_of_its_images(
    names: tuple[str, ...], found: tuple[str, str], tmp_path: Path
) -> None:
    assert patterns(folder_of(tmp_path, *names)) == found
    assert find_files(tmp_path, found[0])


@pytest.mark.parametrize(
    ("names", "says"),
    [((), "no image in it"), (("a.txt",), "no image in it"), (("a.png", "b.jpg", "c.txt"), "several kinds")],
)
def test_a_folder_without_clear_images_is_refused(names: tuple[str, ...], says: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=says):
        patterns(folder_of(tmp_path, *names))


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="none: no such folder"):
        patterns(tmp_path / "none")
