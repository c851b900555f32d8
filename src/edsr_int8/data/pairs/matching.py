"""Which degraded image belongs to which reference: by their names, as public data sets choose them."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath

from edsr_int8.data.images import image_shape
from edsr_int8.data.pairs.patterns import composed, find_files, open_folders
from edsr_int8.errors import InputError
from edsr_int8.progress import bar

SHOWN = 10  # images that an error lists


@dataclass(frozen=True)
class SourcePair:
    """The files of one pair in the user's folder; None for a side that has no pattern."""

    name: str
    lr: Path | None
    hr: Path | None


def find_pairs(folder: Path, *, hr: str, lr: str, scale: int, limit: int = 0) -> list[SourcePair]:
    """The first `limit` (0: all) pairs of images in `folder`, sorted by name.

    `hr` and `lr` are patterns for `find_files`; an empty one leaves that side None. Folders that a pattern
    leaves open are part of the name, those it spells out are not: '*/sharp/*.png' finds 'seq/0001'. The name
    of lr may also end in x2, _x2 or _LR2 (at scale 2), or lie in an open folder x2.

    InputError where a pattern finds nothing, where images have no partner or the same name, and where lr is
    not floor(hr / scale) wide and high.
    """
    hrs, lrs = (_named(folder, pattern) if pattern else {} for pattern in (hr, lr))
    if both := hrs.keys() & lrs.keys():
        raise InputError(f"hr {hr!r} and lr {lr!r} both find {min(both)}; keep the two sides in two folders")
    hr_paths, lr_paths = same_names(hrs, lrs, (_ending(hr), _ending(lr)), scale)
    if hr and lr and (alone := hr_paths.keys() ^ lr_paths.keys()):
        files = sorted((hr_paths | lr_paths)[name] for name in alone)
        raise InputError(
            f"images without a partner: {_listed(map(str, files))}; the two of a pair have the same name, or "
            f"lr's ends in x{scale} or _LR{scale}, or the patterns say how they end: '*_sharp.*', '*_blur.*'"
        )
    names = sorted(hr_paths or lr_paths)[: limit or None]
    pairs = [SourcePair(name, lr_paths.get(name), hr_paths.get(name)) for name in names]
    _check_shapes(pairs, scale)
    return pairs


def _named(folder: Path, pattern: str) -> dict[Path, str]:
    """The files that `pattern` finds, each with its name: the open folders and the stem."""
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; put the images there, or set path to where they are")
    paths = find_files(folder, pattern)
    if not paths:
        raise InputError(f"{folder}: no file matches {pattern!r}; correct the pattern, or path")
    if odd := [path for path in paths if not str(path.relative_to(folder)).isprintable()]:
        raise InputError(f"{odd[0]}: a name with line ends, or that is no UTF-8; rename it")
    return {
        path: composed("/".join([*open_folders(path.relative_to(folder), pattern), path.stem]))
        for path in paths
    }


def same_names(
    hrs: Mapping[Path, str], lrs: Mapping[Path, str], own: tuple[str, str], scale: int
) -> tuple[dict[str, Path], dict[str, Path]]:
    """Both sides by the names that the two images of a pair share.

    One rule for the whole set says what must go from the names before they are equal: the rule that pairs
    the most images, and of equals the first.
    """
    endings = (  # of hr's names, of lr's names
        ("", ""),
        ("", f"x{scale}"),  # DIV2K and the MATLAB scripts around it: 0801.png, 0801x2.png
        ("", f"_x{scale}"),
        ("", f"_LR{scale}"),
        (f"_SRF_{scale}_HR", f"_SRF_{scale}_LR"),  # github.com/jbhuang0604/SelfExSR: Set5 to Urban100
        ("_HR", "_LR"),
        own,  # what the patterns say: '*_sharp.png', '*_blur.png'
    )
    rules = [
        (_by_name(hrs, of_hr), _by_name(names, of_lr))
        for names in (lrs, _of_scale(lrs, scale))
        for of_hr, of_lr in endings
    ]
    hr_files, lr_files = max(rules, key=lambda rule: len(rule[0].keys() & rule[1].keys()))  # first of equals
    return _unique(hr_files), _unique(lr_files)


def _of_scale(names: Mapping[Path, str], scale: int) -> dict[Path, str]:
    """Names without a folder such as x2; files in the folder of another scale are left out."""
    kept = {}
    for path, name in names.items():
        *folders, stem = name.split("/")
        scales = {folder.lower() for folder in folders if re.fullmatch("[xX][0-9]", folder)}
        if scales <= {f"x{scale}"}:
            kept[path] = "/".join([*(each for each in folders if each.lower() not in scales), stem])
    return kept


def _ending(pattern: str) -> str:
    """What a pattern's file name spells out after its last wildcard, without the extension."""
    return re.sub(r".*[*?\]]|^[^*?\]]*$", "", PurePath(pattern).stem)


def _by_name(names: Mapping[Path, str], ending: str) -> dict[str, list[Path]]:
    files = defaultdict(list)
    for path, name in names.items():
        has_ending = name.lower().endswith(ending.lower())
        files[name[: len(name) - len(ending)] if has_ending else name].append(path)
    return files


def _unique(files: Mapping[str, list[Path]]) -> dict[str, Path]:
    if twice := [" and ".join(map(str, sorted(paths))) for paths in files.values() if len(paths) > 1]:
        raise InputError(f"images of one name: {_listed(sorted(twice))}; remove one, or narrow the pattern")
    return {name: path for name, (path,) in files.items()}


def _check_shapes(pairs: list[SourcePair], scale: int) -> None:
    """A remainder of hr is allowed, and cropped later, as in EDSR-PyTorch (src/data/srdata.py)."""
    wrong = []
    for pair in bar(pairs, "image sizes"):
        lr, hr = (image_shape(path) if path else None for path in (pair.lr, pair.hr))
        if hr and (min(hr) < scale or (lr and lr != (hr[0] // scale, hr[1] // scale))):
            wrong.append(f"{pair.name} (hr {hr[1]}x{hr[0]}" + (f", lr {lr[1]}x{lr[0]})" if lr else ")"))
    if wrong:
        raise InputError(f"hr is not {scale} times as wide and high as lr: {_listed(wrong)}; check scale")


def _listed(items: Iterable[str]) -> str:
    """The first ten, and how many there are."""
    every = list(items)
    return ", ".join(every[:SHOWN]) + (f", ... ({len(every)} in all)" if len(every) > SHOWN else "")
