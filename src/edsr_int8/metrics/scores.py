"""What scores.json holds: the figures of one build's images, and facts about the build itself."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import final

from edsr_int8.artifacts import read_json
from edsr_int8.files import write_json
from edsr_int8.metrics.fid.frechet import Fid


@dataclass(frozen=True)
class Figures:
    """Of one image, or means over images. PSNR in dB; SSIM at most 1, which identical images have."""

    psnr_db: float
    ssim: float
    input_psnr_db: float  # of the input's bicubic enlargement; at x1 of the input as it is
    input_ssim: float
    fidelity_db: float | None  # PSNR against the fp32 build's image; None without one


@dataclass(frozen=True)
class ImageScore(Figures):
    name: str


@dataclass(frozen=True)
class MeanScore(Figures):
    images: int


@final
@dataclass(frozen=True)
class Score(MeanScore):
    """One data set under one protocol."""

    per_image: tuple[ImageScore, ...]  # sorted by name
    per_sequence: Mapping[str, MeanScore]  # by sub-folder; empty where there is none
    fid: Fid | None = None  # None where params.yaml does not ask for it


@dataclass(frozen=True)
class Unscored:
    """Why a build has no score for a data set under a protocol."""

    reason: str


@dataclass(frozen=True)
class BuildFacts:
    params: int
    gmacs: float  # 1e9 multiply-accumulates for one image of the row's shape
    card_flops_g: float  # the same work as the model card counts it
    model_bytes: int  # of the ONNX file
    high_precision_mac_share: float  # of all MACs, those of layers with an input or output above 8 bits
    high_precision_byte_share: float  # of the bytes that layers give, those above 8 bits


@dataclass(frozen=True)
class BuildScores:
    status: str  # "ok", or "unavailable: why"
    facts: BuildFacts
    ranges: Mapping[str, Mapping[str, float]]  # ranges.json: tensor -> low, high, scale, zero_point
    datasets: Mapping[str, Mapping[str, Score | Unscored]]  # data set -> protocol; empty unless ok
    # Of each field of the colour chart, how far it is from fp32, grey levels; empty where nothing compares
    colour_shifts: tuple[float, ...] = ()


def told(scores: BuildScores) -> Iterator[str]:
    """A line for each data set and protocol, or for why there is none; shows while a long run goes on."""
    if scores.status != "ok":
        yield scores.status
    for dataset, protocols in scores.datasets.items():
        for protocol, score in protocols.items():
            if isinstance(score, Unscored):
                yield f"{dataset}, {protocol}: {score.reason}"
            else:
                from_fp32 = "" if score.fidelity_db is None else f", {score.fidelity_db:.1f} dB from fp32"
                gained = f"{score.psnr_db:.3f} dB, the input {score.input_psnr_db:.3f}"
                yield f"{dataset}, {protocol}: {gained}{from_fp32}"


def write_scores(path: Path, scores: BuildScores) -> None:
    """Write `scores` as JSON; equal scores give equal bytes."""
    write_json(path, asdict(scores))


def read_scores(path: Path) -> BuildScores:
    """What `write_scores` wrote. InputError where it is no such file."""
    scores: BuildScores = read_json(path, BuildScores, "evaluate")
    return scores


@dataclass(frozen=True)
class Status:
    """What status.json holds, beside a build's images."""

    status: str  # "ok", or "unavailable: why"


def read_status(outputs: Path) -> str:
    """Of the folder that `infer` wrote. InputError: it is not there, or damaged."""
    found: Status = read_json(outputs / "status.json", Status, "infer")
    return found.status
