"""Which files a pattern finds; `Path.glob` is the authority wherever the two should agree."""

import re
from pathlib import Path

import pytest

from edsr_int8.data.pairs.patterns import check_pattern, find_files
from edsr_int8.errors import InputError

E_ACUTE, ACUTE = "\N{LATIN SMALL LETTER E WITH ACUTE}", "\N{COMBINING ACUTE ACCENT}"


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def found(folder: Path, pattern: str) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in find_files(folder, pattern)]


@pytest.mark.parametrize(
    "pattern",
    [
        *("*.png", "*", "./*.png", "[ab].png", "[!a].png", "?.jpg", "HR/*.png", "none/*.png", "a.png/*"),
        *("*/*.png", "**/*.png", "*/sharp/*", "seq/**/*.png", "**/sharp/*.png"),
    ],
)
def test_a_pattern_finds_what_path_glob_finds(tmp_path: Path, pattern: str) -> None:
    touch(tmp_path, "a.png", "b.png", "c.png", "d.jpg", "HR/a.png", "seq/sharp/1.png", "seq/blur/1.png")
    expected = sorted(path for path in tmp_path.glob(pattern) if path.is_file())
    assert find_files(tmp_path, pattern) == expected


@pytest.mark.parametrize(
    "pattern",
    [
        "../*.png",
        "/etc/*.png",
        "a/../../*.png",
        "**/x/**/*.png",
        "a**/*.png",
        "**x/*.png",
        "**",
        "a/**",
        "",
        ".",
    ],
)
def test_a_pattern_that_leaves_the_folder_or_names_no_file_is_refused(tmp_path: Path, pattern: str) -> None:
    with pytest.raises(InputError, match=re.escape(f"pattern {pattern!r}: ")) as told:
        check_pattern(pattern)
    assert "\n" not in str(told.value)
    with pytest.raises(InputError):
        find_files(tmp_path, pattern)


def test_a_missing_folder_holds_nothing(tmp_path: Path) -> None:
    assert found(tmp_path / "gone", "*.png") == []


@pytest.mark.parametrize("pattern", ["*.png", "*.PNG", "**/*.pNg"])
def test_extensions_match_in_any_case_and_names_do_not(tmp_path: Path, pattern: str) -> None:
    touch(tmp_path, "a.png", "B.PNG", "c.Png", "d.jpg")
    assert found(tmp_path, pattern) == ["B.PNG", "a.png", "c.Png"]
    assert found(tmp_path, "b.png") == []


def test_leftovers_of_other_systems_are_no_images(tmp_path: Path) -> None:
    leftovers = ("._0801.png", ".DS_Store", "Thumbs.db", "desktop.ini", ".ipynb_checkpoints/0801.png")
    touch(tmp_path, "0801.png", "x2/0801.png", "__MACOSX/._0801.png", *leftovers)
    assert found(tmp_path, "*") == ["0801.png"]
    assert found(tmp_path, "**/*") == ["0801.png", "x2/0801.png"]


def test_a_folder_that_begins_with_a_dot_is_found_where_the_pattern_says_so(tmp_path: Path) -> None:
    touch(tmp_path, ".cache/a.png", ".cache/.b.png")
    assert found(tmp_path, ".cache/*.png") == [".cache/a.png"]


def test_linked_folders_and_files_are_followed_and_loops_end(tmp_path: Path) -> None:
    touch(tmp_path, "elsewhere/q/z.png")
    images = tmp_path / "images"
    images.mkdir()
    (images / "link").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (images / "loop").symlink_to(images, target_is_directory=True)
    (images / "one.png").symlink_to(tmp_path / "elsewhere/q/z.png")
    (images / "broken.png").symlink_to(tmp_path / "gone.png")
    (images / "itself.png").symlink_to(images / "itself.png")
    assert found(images, "**/*.png") == ["link/q/z.png", "one.png"]
    assert found(images, "*/q/*.png") == ["link/q/z.png"]


@pytest.mark.parametrize("written", [f"caf{E_ACUTE}", f"cafe{ACUTE}"])
@pytest.mark.parametrize("asked", [f"caf{E_ACUTE}", f"cafe{ACUTE}"])
def test_letters_with_accents_match_however_they_are_composed(
    tmp_path: Path, written: str, asked: str
) -> None:
    touch(tmp_path, f"{written}/{written}.png")
    assert found(tmp_path, f"{asked}/*.png") == found(tmp_path, f"*/{asked}.png")
    assert len(found(tmp_path, f"{asked}/{asked}.png")) == 1
