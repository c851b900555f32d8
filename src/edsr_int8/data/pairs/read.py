"""A data set as the later stages read it: lr/<name>.png and hr/<name>.png."""

from dataclasses import dataclass
from pathlib import Path

from edsr_int8.errors import InputError


@dataclass(frozen=True)
class Pair:
    """A degraded image and its reference, None where the set has none. Names may hold folders: 'seq/0001'."""

    name: str
    lr: Path
    hr: Path | None


def read_pairs(folder: Path) -> list[Pair]:
    """The pairs in `folder`/{lr,hr}, sorted by name; without a folder hr, degraded images only.

    InputError: there are no images, or one side lacks an image that the other has.
    """
    lr, hr = _by_name(folder / "lr"), _by_name(folder / "hr")
    if not lr:
        raise InputError(f"{folder}: holds no lr/*.png; run the dataset stage that makes it")
    if alone := sorted(lr.keys() ^ hr.keys() if hr else []):
        raise InputError(f"{folder}: {alone[0]}.png is in one of lr/ and hr/ only; make the set again")
    return [Pair(name, lr[name], hr.get(name)) for name in sorted(lr)]


def _by_name(folder: Path) -> dict[str, Path]:
    return {path.relative_to(folder).as_posix().removesuffix(".png"): path for path in folder.rglob("*.png")}
