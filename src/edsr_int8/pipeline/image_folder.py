"""A user's folder of images -> the patterns of a data set."""

from collections.abc import Iterable
from pathlib import Path

from edsr_int8.data.pairs.patterns import find_files
from edsr_int8.errors import InputError
from edsr_int8.files import at_home

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")
# Names of folders, in any case, that hold one side of pairs.
REFERENCE = ("hr", "gt", "sharp", "target")
DEGRADED = ("lr", "lq", "blur", "input")


def patterns(folder: Path) -> tuple[str, str]:
    """(hr, lr) for the images in `folder`: those of its folders HR and LR, where it has them, or all of them.

    InputError: no such folder, or no images in it.
    """
    folder = Path(at_home(str(folder)))
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    reference, degraded = (_named(folder, names) for names in (REFERENCE, DEGRADED))
    if reference is None:
        return _pattern(folder), ""
    hr = f"{reference.name}/{_pattern(reference)}"
    return hr, f"{degraded.name}/{_pattern(degraded)}" if degraded else ""


def _named(folder: Path, names: Iterable[str]) -> Path | None:
    return next((f for f in sorted(folder.iterdir()) if f.is_dir() and f.name.lower() in names), None)


def _pattern(folder: Path) -> str:
    """Of the images in the folder itself or, where there are none, in the folders below it."""
    for above in ("", "**/"):
        files = find_files(folder, f"{above}*")
        found = sorted({file.suffix.lower() for file in files if file.suffix.lower() in SUFFIXES})
        if len(found) == 1:
            return f"{above}*{found[0]}"
        if found and all(file.suffix.lower() in SUFFIXES for file in files):
            return f"{above}*"
        if found:
            kinds = ", ".join(found)
            raise InputError(f"{folder}: has images of several kinds ({kinds}) beside other files; sort them")
    raise InputError(f"{folder}: no image in it; PNG, JPEG, BMP, TIFF and WebP are read")
