"""A data set as every later stage reads it: lr/<name>.png beside hr/<name>.png."""

from dataclasses import dataclass
from pathlib import Path

from edsr_int8.errors import InputError


@dataclass(frozen=True)
class Pair:
    """A degraded image and its reference (None where a set has none); a name may hold folders, 'seq/0001'."""

    name: str
    lr: Path
    hr: Path | None


def read_pairs(folder: Path) -> list[Pair]:
    """The pairs in `folder`/{lr,hr}, sorted by name; no hr folder means degraded images only.

    InputError where `folder` holds no images, or an image of one side without the other.
    """
    lr, hr = _by_name(folder / "lr"), _by_name(folder / "hr")
    if not lr:
        raise InputError(f"{folder}: holds no lr/*.png; run the dataset stage that makes it")
    if alone := sorted(lr.keys() ^ hr.keys() if hr else []):
        raise InputError(f"{folder}: {alone[0]}.png is in one of lr/ and hr/ only; make the set again")
    return [Pair(name, lr[name], hr.get(name)) for name in sorted(lr)]


def _by_name(folder: Path) -> dict[str, Path]:
    return {path.relative_to(folder).as_posix().removesuffix(".png"): path for path in folder.rglob("*.png")}
