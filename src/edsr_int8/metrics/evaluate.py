"""Scores of a build's images: one pure function for each image, and a merge of what they return."""

from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path, PurePosixPath
from statistics import fmean
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edsr_int8.data.degrade.bicubic import enlarge
from edsr_int8.data.images import read_rgb
from edsr_int8.errors import InputError
from edsr_int8.metrics.protocols import Protocol, scored_pixels
from edsr_int8.metrics.psnr import psnr_db
from edsr_int8.metrics.scores import Figures, ImageScore, MeanScore, Score
from edsr_int8.metrics.ssim import WINDOW, ssim
from edsr_int8.progress import bar


@dataclass(frozen=True)
class Folders:
    """Where the images of one data set lie; a name such as `x` or `sequence/x` is `x.png` in each folder."""

    lr: Path  # degraded
    hr: Path  # reference
    outputs: Path  # what is scored
    fp32: Path | None = None  # the fp32 build's images of the same inputs: fidelity is measured against them


def score_pair(
    output: NDArray[Any], reference: NDArray[Any], protocol: Protocol, scale: int
) -> tuple[float, float]:
    """PSNR in dB and SSIM under `protocol` of two HWC RGB images in grey levels 0..255, uint8 or float.

    ValueError where the shapes differ, or where less than one SSIM window is left inside the shaved border.
    """
    ours, theirs = (scored_pixels(image, protocol, scale) for image in (output, reference))
    return psnr_db(ours, theirs), ssim(ours, theirs)


def evaluate(
    folders: Folders, *, protocols: Sequence[Protocol], scale: int, workers: int = 2
) -> dict[str, Score]:
    """Score every image of one data set under every protocol: {protocol name: score}.

    The result does not depend on `workers`. InputError names an image that is missing, has another size
    than its reference, or is too small for a protocol.
    """
    names = image_names(folders)
    score = partial(score_image, folders=folders, protocols=tuple(protocols), scale=scale)
    with ThreadPoolExecutor(workers) as pool:  # OpenCV and numpy release the interpreter lock
        scores = list(bar(pool.map(score, names), "evaluate", total=len(names), unit="image"))
    return {protocol.name: merge([image[protocol.name] for image in scores]) for protocol in protocols}


def image_names(folders: Folders) -> list[str]:
    """Names of the references, sorted. InputError where there is none, or where one has no partner."""
    names = sorted(
        path.relative_to(folders.hr).with_suffix("").as_posix() for path in folders.hr.rglob("*.png")
    )
    if not names:
        raise InputError(f"{folders.hr}: holds no reference image (*.png) to score against")
    partners = [folder for folder in (folders.lr, folders.outputs, folders.fp32) if folder]
    for name in names:
        for path in (_path(folder, name) for folder in partners):
            if not path.is_file():
                raise InputError(f"{path}: missing, so {_path(folders.hr, name)} has no partner")
    return names


def score_image(
    name: str, *, folders: Folders, protocols: Sequence[Protocol], scale: int
) -> dict[str, ImageScore]:
    """The scores of one image, {protocol name: score}; each file is decoded once."""
    reference = read_rgb(_path(folders.hr, name))
    output = _read_like(reference, _path(folders.outputs, name))
    fp32 = _read_like(reference, _path(folders.fp32, name)) if folders.fp32 else None
    enlarged = enlarge_input(_path(folders.lr, name), scale, reference.shape)
    scores = {}
    for protocol in protocols:
        check_size(_path(folders.hr, name), reference, protocol, scale)
        pixels = partial(scored_pixels, protocol=protocol, scale=scale)
        psnr, similarity = score_pair(output, reference, protocol, scale)
        input_psnr, input_similarity = score_pair(enlarged, reference, protocol, scale)
        fidelity = None if fp32 is None else psnr_db(pixels(output), pixels(fp32))
        scores[protocol.name] = ImageScore(
            psnr, similarity, input_psnr, input_similarity, fidelity, name=name
        )
    return scores


def merge(per_image: Sequence[ImageScore]) -> Score:
    """The images' own scores, their means, and the means over each sub-folder; the order does not matter."""
    ordered = sorted(per_image, key=lambda score: score.name)
    sequences = defaultdict(list)
    for score in ordered:
        sequences[PurePosixPath(score.name).parent.as_posix()].append(score)
    sequences.pop(".", None)
    per_sequence = {name: MeanScore(**_means(scores)) for name, scores in sequences.items()}
    return Score(**_means(ordered), per_image=tuple(ordered), per_sequence=per_sequence)


def _means(scores: Sequence[ImageScore]) -> dict[str, Any]:
    """Means of all figures, correctly rounded and so the same in any order; None where an image has None."""
    columns = {figure.name: [getattr(score, figure.name) for score in scores] for figure in fields(Figures)}
    means = {figure: None if None in values else fmean(values) for figure, values in columns.items()}
    return {"images": len(scores), **means}


def enlarge_input(path: Path, scale: int, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """What there is without a network: the bicubic enlargement, or at x1 the degraded image itself.

    InputError where the image at `path`, times `scale`, does not have the reference's `shape`.
    """
    image = read_rgb(path)
    if (image.shape[0] * scale, image.shape[1] * scale) != shape[:2]:
        raise InputError(f"{path}: {_size(image.shape)} times {scale} is not its reference's {_size(shape)}")
    return enlarge(image, scale) if scale > 1 else image


def _path(folder: Path, name: str) -> Path:
    return folder / f"{name}.png"


def _read_like(reference: NDArray[np.uint8], path: Path) -> NDArray[np.uint8]:
    image = read_rgb(path)
    if image.shape != reference.shape:
        raise InputError(f"{path}: {_size(image.shape)}, but its reference is {_size(reference.shape)}")
    return image


def check_size(path: Path, image: NDArray[np.uint8], protocol: Protocol, scale: int) -> None:
    """InputError where less than one SSIM window of the image at `path` is left inside the border."""
    shave = protocol.shave(scale)
    if min(image.shape[:2]) - 2 * shave < WINDOW:
        raise InputError(
            f"{path}: {_size(image.shape)} is too small for protocol {protocol.name}, which shaves {shave}"
            f" pixels off every border and needs {WINDOW}x{WINDOW} more; take larger images or another "
            "protocol"
        )


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[1]}x{shape[0]} pixels"
