"""A row of `precisions`: what one build of every model asks for. Read from params.yaml, passed whole."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from annotated_types import Interval

from edsr_int8.quantization.scheme import DEFAULT, SYMMETRIC, HighPrecision, Scheme

RangeEstimator = Literal["percentile", "minmax", "mse", "entropy", "search"]
Percentile = Annotated[float | None, Interval(ge=50, le=100)]  # None for the other range estimators
Times = Annotated[int, Interval(ge=1, le=8)]


@dataclass(frozen=True)
class Override:
    """Another range estimator for the tensors whose names match a pattern such as `body.*.conv1`."""

    tensors: str
    ranges: RangeEstimator
    percentile: Percentile = None


@dataclass(frozen=True)
class Statistics:
    """The crops of calibration images that rewrites, corrections and finetuning learn from."""

    crops: Annotated[int, Interval(ge=1, le=1_000_000)] = 1024
    patch: Annotated[int, Interval(ge=8, le=1024)] = 32  # their height and width, pixels
    seed: Annotated[int, Interval(ge=0, le=2**32 - 1)] = 0


@dataclass(frozen=True)
class Finetune:
    """Budget of learning from the float network's output."""

    steps: Annotated[int, Interval(ge=0, le=10_000_000)] = 0  # 0: none
    batch: Annotated[int, Interval(ge=1, le=4096)] = 8  # crops a step


@dataclass(frozen=True)
class Carriers:
    """How many times the channels of the last tensors are carried, on grids apart by parts of a step."""

    trunk: Times = 1  # of the trunk's output, where the long skip is folded
    tail: Times = 1  # of what a collapsed tail fetches from beside each pixel


@dataclass(frozen=True)
class Structure:
    """What a recipe folds and carries, apart from its ranges; equal structures share rounded weights."""

    fold_long_skip: bool = False
    fold_head: bool = False
    carriers: Carriers = Carriers()
    cover_colours: bool = False  # it widens the grid that weights are written in

    @property
    def label(self) -> str:
        """Of its weights in a file."""
        told = (self.fold_long_skip, self.fold_head, self.carriers.trunk, self.cover_colours)
        return "-".join(str(int(each)) for each in told)


@dataclass(frozen=True)
class Recipe:
    dtype: Literal["float32", "float16", "bfloat16", "int8"]
    ranges: Literal[RangeEstimator, ""] = ""
    percentile: Percentile = None
    overrides: tuple[Override, ...] = ()
    scheme: Scheme = DEFAULT  # of activations
    fold_long_skip: bool = False  # exact: the image led around the trunk
    fold_head: bool = False  # exact: the first convolution folded into the first block, and no rounding there
    collapse_tail: bool = False  # exact: the last shuffle after the last convolution
    equalize: bool = False  # exact: cross-layer equalization inside residual blocks
    channel_transform: bool = False  # exact: linear tensors in the channel basis that rounds best
    carriers: Carriers = field(default_factory=Carriers)  # exact: the last tensors carried several times
    cover_colours: bool = False  # ranges and finetuning hold every colour, not only those of photographs
    unify_scales: bool = False  # the last residual sum and its terms on one scale
    gptq: bool = False
    bias_correction: bool = False
    statistics: Statistics = field(default_factory=Statistics)
    finetune: Finetune = field(default_factory=Finetune)
    high_precision_layers: tuple[str, ...] = ()  # patterns of layers that stay in float
    high_precision_budget: Annotated[float, Interval(ge=0, le=1)] = 0.0  # or: their share of all MACs
    high_precision_dtype: HighPrecision = "float32"  # uint16: 16-bit activations, still int8 weights

    @property
    def range_estimators(self) -> frozenset[str]:
        """All that any tensor's range may come from."""
        return frozenset({self.ranges, *(override.ranges for override in self.overrides)})

    @property
    def high_precision(self) -> bool:
        """Whether some layers stay above 8 bits."""
        return bool(self.high_precision_layers or self.high_precision_budget)

    @property
    def symmetric(self) -> bool:
        """Whether the image is centred: the first convolution is then another one."""
        return self.scheme in SYMMETRIC

    @property
    def strict(self) -> bool:
        """Whether every convolution is asked to run in int8."""
        return self.dtype == "int8" and not self.high_precision

    @property
    def structure(self) -> Structure:
        """What it folds and carries."""
        return Structure(self.fold_long_skip, self.fold_head, self.carriers, self.cover_colours)

    @property
    def searches(self) -> bool:
        """Whether any tensor's range is searched by the error of the output."""
        return "search" in self.range_estimators

    @property
    def rewrites_tensors(self) -> bool:
        """Whether the calibrated tensors are others than the float network's."""
        return self.channel_transform or self.equalize or self.collapse_tail

    @property
    def keeps_tensors(self) -> bool:
        """Whether the build's tensors are the float network's, so that histograms of that one are theirs."""
        return not self.rewrites_tensors and self.finetune.steps == 0

    @property
    def learns(self) -> bool:
        """Whether it takes forward passes of its own: more than `observe` and `gptq` do for all recipes."""
        own_weights = self.gptq and self.symmetric
        own_ranges = self.high_precision or self.searches
        return not self.keeps_tensors or own_ranges or own_weights or self.bias_correction

    @property
    def needs_crops(self) -> bool:
        """Whether `statistics` matters: a rewrite, a correction or finetuning learns from these crops."""
        learns_weights = bool(self.finetune.steps) or (self.gptq and self.learns)
        return learns_weights or (
            self.channel_transform or self.equalize or self.bias_correction or self.searches
        )

    @property
    def needs_sensitivity(self) -> bool:
        """Whether layers are chosen by what quantizing each of them costs."""
        return self.high_precision_budget > 0

    @property
    def needs_gptq_weights(self) -> bool:
        """Whether it takes the weights of the stage `gptq`, which serve all recipes that learn nothing."""
        return self.gptq and not self.learns

    @property
    def needs_histograms(self) -> bool:
        """Whether the float network's histograms are read: for ranges, or by one of the two stages above."""
        own_ranges = self.dtype == "int8" and not self.rewrites_tensors
        return own_ranges or self.needs_sensitivity or self.needs_gptq_weights

    @property
    def reads(self) -> list[str]:
        """What its passes read of the calibration: names of fields of `passes.Calibration`."""
        read = {
            "gptq_weights": self.needs_gptq_weights,
            "histograms": self.dtype == "int8" and not self.rewrites_tensors,
            "images": self.needs_crops or self.rewrites_tensors,
            "losses": self.needs_sensitivity,
        }
        return [name for name, asked in read.items() if asked]


MODEL_CARD = Recipe("int8", "percentile", 99.999)  # the model card's own ranges
