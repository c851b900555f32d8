"""A row of `precisions`: what one build of every model asks for. Read from params.yaml, passed whole."""

from dataclasses import dataclass, field
from typing import Annotated

from edsr_int8.pipeline.schema import SEED, OneOf, Within

RANGE_ESTIMATORS = ("percentile", "minmax", "mse", "entropy", "search")


@dataclass(frozen=True)
class Override:
    """Another range estimator for the tensors whose names match a pattern such as `body.*.conv1`."""

    tensors: str
    ranges: Annotated[str, OneOf(*RANGE_ESTIMATORS)]
    percentile: Annotated[float | None, Within(50, 100)] = None


@dataclass(frozen=True)
class Statistics:
    """The crops of calibration images that rewrites, corrections and finetuning learn from."""

    crops: Annotated[int, Within(1)] = 1024
    patch: Annotated[int, Within(8)] = 32  # their height and width, pixels
    seed: Annotated[int, SEED] = 0


@dataclass(frozen=True)
class Finetune:
    """Budget of learning from the float network's output."""

    steps: Annotated[int, Within(0)] = 0  # 0: none
    batch: Annotated[int, Within(1)] = 8  # crops a step


@dataclass(frozen=True)
class Recipe:
    dtype: Annotated[str, OneOf("float32", "int8")]
    ranges: Annotated[str, OneOf(*RANGE_ESTIMATORS, "")] = ""
    percentile: Annotated[float | None, Within(50, 100)] = None
    overrides: tuple[Override, ...] = ()
    fold_long_skip: bool = False  # exact: the image led around the trunk
    collapse_tail: bool = False  # exact: the last shuffle behind the last convolution
    equalize: bool = False  # exact: cross-layer equalization inside residual blocks
    channel_transform: bool = False  # exact: linear tensors in the channel basis that rounds best
    unify_scales: bool = False  # the last residual sum and its terms on one scale
    gptq: bool = False
    bias_correction: bool = False
    statistics: Statistics = field(default_factory=Statistics)
    finetune: Finetune = field(default_factory=Finetune)
    high_precision_layers: tuple[str, ...] = ()  # patterns of layers that stay in float
    high_precision_budget: Annotated[float, Within(0, 1)] = 0.0  # or: their share of all MACs

    @property
    def range_estimators(self) -> frozenset[str]:
        """All that any tensor's range may come from."""
        return frozenset({self.ranges, *(override.ranges for override in self.overrides)})

    @property
    def high_precision(self) -> bool:
        """Whether some layers stay above 8 bits."""
        return bool(self.high_precision_layers or self.high_precision_budget)

    @property
    def keeps_tensors(self) -> bool:
        """Whether the build's tensors are the float network's, so that histograms of that one are theirs."""
        rewritten = self.channel_transform or self.equalize or self.collapse_tail
        return not rewritten and self.finetune.steps == 0

    @property
    def learns(self) -> bool:
        """Whether it takes forward passes of its own: more than `observe` and `gptq` do for all recipes."""
        searches = "search" in self.range_estimators
        return not self.keeps_tensors or self.high_precision or self.bias_correction or searches


MODEL_CARD = Recipe("int8", "percentile", 99.999)  # the model card's own ranges
