"""Scores of a build's images: one pure function for each image, and a merge of what they return."""

import functools
import json
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, fields
from pathlib import Path, PurePosixPath
from statistics import fmean
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edsr_int8.artifacts import read_json
from edsr_int8.cluster.facts import process_facts
from edsr_int8.cluster.in_process import InProcess
from edsr_int8.cluster.kept import Kept, Result, complete
from edsr_int8.cluster.work import Contents, Executor, Item
from edsr_int8.data.degrade.bicubic import enlarge
from edsr_int8.data.images import read_rgb
from edsr_int8.errors import InputError
from edsr_int8.metrics.protocols import Protocol, scored_pixels
from edsr_int8.metrics.psnr import psnr_db
from edsr_int8.metrics.scores import Figures, ImageScore, MeanScore, Score
from edsr_int8.metrics.ssim import WINDOW, ssim

SCORERS = 2  # images scored at a time in this process
HERE = InProcess()


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


@dataclass(frozen=True)
class Scoring:
    """Images under protocols, as work for an executor: the scores of each as JSON."""

    protocols: tuple[Protocol, ...]
    scale: int
    memory_mb = 0

    def facts(self) -> Mapping[str, Any]:
        return process_facts()

    def open(self, threads: int) -> Callable[[Iterable[Contents]], Iterator[Result]]:
        return functools.partial(_score_all, self, threads or SCORERS)

    def identity(self) -> str:
        """All that may change a score."""
        known = [[asdict(protocol) for protocol in self.protocols], self.scale, dict(self.facts())]
        return json.dumps(known, sort_keys=True)


def evaluate(
    folders: Folders, *, protocols: Sequence[Protocol], scale: int, partial: Path, executor: Executor = HERE
) -> dict[str, Score]:
    """Score every image of one data set under every protocol: {protocol name: score}.

    The scores of every image that is finished stay in the folder `partial`, which the caller deletes once
    they are written; the next call goes on from there. InputError names an image that is missing, has another
    size than its reference, or is too small for a protocol.
    """
    items = [_item(folders, name) for name in image_names(folders)]
    work = Scoring(tuple(protocols), scale)
    found = complete(executor, work, items, Kept(partial, work.identity()), "evaluate")
    scores = [read_json(found[item.name], dict[str, ImageScore], "evaluate") for item in items]
    return {protocol.name: merge([image[protocol.name] for image in scores]) for protocol in protocols}


def _item(folders: Folders, name: str) -> Item:
    paths = [
        _path(folder, name) for folder in (folders.outputs, folders.hr, folders.lr, folders.fp32) if folder
    ]
    return Item(name, tuple(paths))


def _score_all(work: Scoring, threads: int, contents: Iterable[Contents]) -> Iterator[Result]:
    """Of a few images at a time: OpenCV and numpy release the interpreter lock."""
    with ThreadPoolExecutor(threads) as pool:
        running: deque[Future[Result]] = deque()
        for image in contents:
            running.append(pool.submit(_score, work, image))
            if len(running) > threads:
                yield running.popleft().result()
        while running:
            yield running.popleft().result()


def _score(work: Scoring, image: Contents) -> Result:
    scores = {name: asdict(score) for name, score in score_image(image, work.protocols, work.scale).items()}
    return Result(image.name, image.digest, json.dumps(scores).encode())


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


def score_image(image: Contents, protocols: Sequence[Protocol], scale: int) -> dict[str, ImageScore]:
    """The scores of one image, {protocol name: score}; each file is decoded once.

    `image` holds the output, its reference, the degraded image and, where there is one, the fp32 build's.
    """
    output_path, hr_path, lr_path, *fp32_path = image.paths
    output_data, hr_data, lr_data, *fp32_data = image.files
    reference = read_rgb(hr_path, data=hr_data)
    output = _read_like(reference, output_path, output_data)
    fp32 = _read_like(reference, fp32_path[0], fp32_data[0]) if fp32_path else None
    enlarged = enlarge_input(lr_path, scale, reference.shape, data=lr_data)
    scores = {}
    for protocol in protocols:
        check_size(hr_path, reference, protocol, scale)
        pixels = functools.partial(scored_pixels, protocol=protocol, scale=scale)
        psnr, similarity = score_pair(output, reference, protocol, scale)
        input_psnr, input_similarity = score_pair(enlarged, reference, protocol, scale)
        fidelity = None if fp32 is None else psnr_db(pixels(output), pixels(fp32))
        scores[protocol.name] = ImageScore(
            psnr, similarity, input_psnr, input_similarity, fidelity, name=image.name
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


def enlarge_input(
    path: Path, scale: int, shape: tuple[int, ...], *, data: bytes | None = None
) -> NDArray[np.uint8]:
    """What there is without a network: the bicubic enlargement, or at x1 the degraded image itself.

    `data` as in `read_rgb`. InputError where the image at `path`, times `scale`, does not have the
    reference's `shape`.
    """
    image = read_rgb(path, data=data)
    if (image.shape[0] * scale, image.shape[1] * scale) != shape[:2]:
        raise InputError(f"{path}: {_size(image.shape)} times {scale} is not its reference's {_size(shape)}")
    return enlarge(image, scale) if scale > 1 else image


def _path(folder: Path, name: str) -> Path:
    return folder / f"{name}.png"


def _read_like(reference: NDArray[np.uint8], path: Path, data: bytes) -> NDArray[np.uint8]:
    image = read_rgb(path, data=data)
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
