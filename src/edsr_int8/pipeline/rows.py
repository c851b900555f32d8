"""The rows of params.yaml that belong to no room of the library, and the file as one value."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal, get_args

from annotated_types import Interval, MinLen

from edsr_int8.data.download.row import DownloadRow
from edsr_int8.data.pairs.row import DatasetRow
from edsr_int8.errors import InputError
from edsr_int8.models.description import NetworkRow
from edsr_int8.quantization.recipe import Recipe
from edsr_int8.targets.row import TargetRow
from edsr_int8.training.schedule import Training

ProtocolName = Literal["official", "basicsr", "benchmark_y", "card"]
NATIVE_SHAPE = (256, 256)  # height and width that costs are given at where a model's shape is native
# Published figures that a model row may carry, shown beside ours: of the fp32 network or of its int8 build,
# under one protocol (`card_int8_psnr_db`) or, with no protocol named, under all.
REFERENCE_FIGURES = (
    *(f"{protocol}{build}{figure}" for protocol in ("", *(f"{name}_" for name in get_args(ProtocolName)))
      for build in ("", "int8_") for figure in ("psnr_db", "ssim")),
    "card_flops_g",
    "params_m",
)  # fmt: skip
REFERENCE_PRECISION = "fp32"  # every drop is measured against it ...
REFERENCE_TARGET = "onnxruntime"  # ... on the same target, or on this one where that target has none

Names = Annotated[tuple[str, ...], MinLen(1)]
Pixels = Annotated[int, Interval(ge=1, le=8192)]  # 8K video is 7680 wide
Share = Annotated[float, Interval(ge=0, le=1)]


@dataclass(frozen=True)
class Model(NetworkRow):
    """A checkpoint, and what its builds are calibrated and scored on."""

    weights: str
    evaluation: Names  # rows of `datasets`
    calibration: str  # a row of `datasets`
    protocols: Annotated[tuple[ProtocolName, ...], MinLen(1)]
    shape: Literal["native"] | tuple[Pixels, Pixels]  # height and width that every build is compiled for
    # The network was trained on (image / 255 - rgb_mean) * img_range; null: the file tells, or a trial.
    img_range: Annotated[float, Interval(gt=0, le=65535)] | None = None
    rgb_mean: tuple[Share, Share, Share] | None = None
    sha256: str = ""  # of `weights`: whole, or its first 8 or more hex digits; '': any file will do
    reference: Mapping[str, float] = field(default_factory=dict)  # published figures: REFERENCE_FIGURES

    @property
    def fixed_shape(self) -> tuple[int, int] | None:
        """Height and width; None where each image keeps its own."""
        return None if isinstance(self.shape, str) else self.shape


@dataclass(frozen=True)
class Calibration:
    images: Annotated[int, Interval(ge=1, le=100_000)]  # the first N of each calibration set


@dataclass(frozen=True)
class Fid:
    """The Fréchet inception distance over patches, beside PSNR and SSIM; no section, no distance."""

    weights: str  # file of the Inception network; without it the figure is left out, and the table says so
    sha256: str  # of that file: whole, or its first 8 or more hex digits
    urls: tuple[str, ...] = ()  # where to fetch it from
    patch: Annotated[int, Interval(ge=1, le=2048)] = 256  # pixels a side
    patches: Annotated[int, Interval(ge=0, le=10_000_000)] = (
        0  # at most so many of each data set, spread evenly; 0: all
    )


@dataclass(frozen=True)
class Params:
    """All of params.yaml. Every key is known and every value of the type that is written here."""

    # Of every row, too.
    __pydantic_config__: ClassVar = {"strict": True, "extra": "forbid", "allow_inf_nan": False}

    downloads: Mapping[str, DownloadRow]
    datasets: Mapping[str, DatasetRow]
    models: Mapping[str, Model]
    calibration: Calibration
    precisions: Mapping[str, Recipe]
    targets: Mapping[str, TargetRow]
    training: Mapping[str, Training]
    mirror: str = ""  # a folder or URL prefix that holds the downloads by name or by hash
    fid: Fid | None = None


def row(section: Mapping[str, Any], key: str, name: str) -> Any:
    """The row `key` of a section. InputError names the section by `name`, and the rows that it has."""
    if key not in section:
        raise InputError(f"params.yaml: {name} has no row {key!r}; it has {', '.join(section) or 'none'}")
    return section[key]


def named_paths(params: Params) -> list[tuple[str, str]]:
    """Every path that a row names and DVC looks for, after the key that names it."""
    paths = [(f"models.{key}.weights", model.weights) for key, model in params.models.items()]
    paths += [(f"training.{key}.start", training.start) for key, training in params.training.items()]
    return paths + [(f"datasets.{key}.path", dataset.path) for key, dataset in params.datasets.items()]
