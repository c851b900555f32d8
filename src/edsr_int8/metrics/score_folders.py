"""Scores of images that any program made, under every protocol, and what makes such scores differ."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import numpy as np

from edsr_int8.data.images import SUFFIXES, Image, jpeg_compressed, jpeg_settings, read_rgb
from edsr_int8.data.pairs.matching import same_names
from edsr_int8.data.pairs.patterns import composed, find_files
from edsr_int8.errors import InputError
from edsr_int8.metrics.evaluate import check_size, score_pair
from edsr_int8.metrics.protocols import PROTOCOLS, scored_pixels
from edsr_int8.metrics.psnr import psnr_db
from edsr_int8.progress import bar

A_FEW = 32  # pixels: images that differ by more in height or width are no pair
RGB, LUMA = PROTOCOLS["basicsr"], PROTOCOLS["benchmark_y"]


@dataclass(frozen=True)
class ProtocolScore:
    channels: str
    border: int  # pixels left out at every side
    psnr_db: float  # mean over images
    ssim: float


@dataclass(frozen=True)
class FolderScores:
    images: int
    protocols: Mapping[str, ProtocolScore]  # `card` without its resizing to one shape
    rounded_luma_psnr_db: float  # as benchmark_y, with Y in whole grey levels
    pooled_psnr_db: float  # as basicsr, with one mean squared error over the pixels of all images
    jpeg_psnr_db: float | None  # of the references compressed as the outputs are; None without a JPEG file
    notes: Sequence[str]  # on single files


@dataclass(frozen=True)
class _PairScore:
    figures: Mapping[str, tuple[float, float]]  # protocol -> PSNR in dB, SSIM
    rounded_luma_psnr_db: float
    squared_error: float  # sum over `values` grey levels in RGB
    values: int
    jpeg_psnr_db: float | None
    notes: list[str]


def score_folders(outputs: Path, references: Path, *, scale: int) -> FolderScores:
    """Score each image in `outputs` against the image of its name in `references`, both with sub-folders.

    Names may differ as those of lr and hr in `find_pairs` do, or by one ending that all outputs share.
    References without an output are left out. Images whose sizes differ by a few pixels are cropped from
    the top left to the size that both have.
    InputError: a folder has no image, an output has no reference, a pair differs by more, or is too small.
    """
    pairs = _pairs(outputs, references, scale)
    scores = [_score(*pair, scale) for pair in bar(pairs, "score", unit="image")]
    jpeg = [score.jpeg_psnr_db for score in scores if score.jpeg_psnr_db is not None]
    pooled = sum(score.squared_error for score in scores) / sum(score.values for score in scores)
    return FolderScores(
        images=len(scores),
        protocols={name: _mean(name, scores, scale) for name in PROTOCOLS},
        rounded_luma_psnr_db=fmean(score.rounded_luma_psnr_db for score in scores),
        pooled_psnr_db=psnr_db(np.sqrt([pooled]), np.zeros(1)),
        jpeg_psnr_db=fmean(jpeg) if jpeg else None,
        notes=[note for score in scores for note in score.notes],
    )


def _mean(name: str, scores: Sequence[_PairScore], scale: int) -> ProtocolScore:
    protocol = PROTOCOLS[name]
    psnr, ssim = (fmean(values) for values in zip(*(s.figures[name] for s in scores), strict=True))
    return ProtocolScore(protocol.channels, protocol.shave(scale), psnr, ssim)


def _pairs(outputs: Path, references: Path, scale: int) -> list[tuple[Path, Path]]:
    theirs, ours = _images(references), _images(outputs)
    by_name, ours_by_name = same_names(theirs, ours, ("", _ending(theirs, ours)), scale)
    if alone := sorted(str(ours_by_name[name]) for name in ours_by_name.keys() - by_name.keys()):
        raise InputError(
            f"{alone[0]}: has no reference of its name in {references}, like {len(alone)} of {len(ours)} "
            "outputs; give both folders the same names"
        )
    return [(ours_by_name[name], by_name[name]) for name in sorted(ours_by_name)]


def _images(folder: Path) -> dict[Path, str]:
    """Every image in `folder`, and its name: sub-folders and stem."""
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    paths = [path for suffix in SUFFIXES for path in find_files(folder, f"**/*{suffix}")]
    if not paths:
        raise InputError(f"{folder}: holds no image ({', '.join(SUFFIXES)})")
    return {path: composed(path.relative_to(folder).with_suffix("").as_posix()) for path in paths}


def _ending(references: Mapping[Path, str], outputs: Mapping[Path, str]) -> str:
    """What the first output's name has beyond that of a reference: EDSR-PyTorch adds _x2_SR to 0801."""
    first = min(outputs.values())
    known = [name for name in references.values() if first.startswith(name)]
    return first.removeprefix(max(known, key=len)) if known else ""


def _score(output: Path, reference: Path, scale: int) -> _PairScore:
    ours, theirs, notes = _common_size(output, reference)
    for protocol in PROTOCOLS.values():
        check_size(reference, theirs, protocol, scale)
    luma = [np.rint(scored_pixels(image, LUMA, scale)) for image in (ours, theirs)]
    pixels = [scored_pixels(image, RGB, scale).astype(np.float64) for image in (ours, theirs)]
    compressed = _compressed_like(output, theirs)
    return _PairScore(
        figures={name: score_pair(ours, theirs, protocol, scale) for name, protocol in PROTOCOLS.items()},
        rounded_luma_psnr_db=psnr_db(*luma),
        squared_error=float(np.square(pixels[0] - pixels[1]).sum()),
        values=pixels[0].size,
        jpeg_psnr_db=None
        if compressed is None
        else psnr_db(*(scored_pixels(image, RGB, scale) for image in (compressed, theirs))),
        notes=notes,
    )


def _common_size(output: Path, reference: Path) -> tuple[Image, Image, list[str]]:
    ours, theirs = read_rgb(output), read_rgb(reference)
    if ours.shape == theirs.shape:
        return ours, theirs, []
    sizes = f"{ours.shape[1]}x{ours.shape[0]}, its reference {theirs.shape[1]}x{theirs.shape[0]}"
    if max(abs(a - b) for a, b in zip(ours.shape, theirs.shape, strict=True)) > A_FEW:
        raise InputError(f"{output}: {sizes}; are these outputs of another scale, or other images?")
    height, width = (min(sides) for sides in zip(ours.shape[:2], theirs.shape[:2], strict=True))
    note = f"{output}: {sizes}; both cropped from the top left to {width}x{height}"
    return ours[:height, :width], theirs[:height, :width], [note]


def _compressed_like(path: Path, image: Image) -> Image | None:
    """`image` compressed with the quantization tables of the JPEG file at `path`; None for other files."""
    settings = jpeg_settings(path)
    return None if settings is None else jpeg_compressed(image, settings)
