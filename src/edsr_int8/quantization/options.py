"""What a precision row asks of the quantizer: the rows of params.yaml and the library share these."""

from dataclasses import dataclass, field
from typing import Annotated

from edsr_int8.schema import SEED, OneOf, Within

METHODS = ("percentile", "minmax", "mse", "entropy", "search")  # of finding a tensor's range


@dataclass(frozen=True)
class Override:
    """Another method for the tensors whose names match a pattern such as `body.*.conv1`."""

    tensors: str
    ranges: Annotated[str, OneOf(*METHODS)]
    percentile: Annotated[float, Within(50, 100)] = 100.0


@dataclass(frozen=True)
class Ranges:
    """How each tensor's range is found: by `method`, unless the last override that names it says else."""

    method: str
    percentile: float = 100.0
    overrides: tuple[Override, ...] = ()


CARD = Ranges("percentile", 99.999)  # the model card's own


@dataclass(frozen=True)
class Tuning:
    """Budgets of learning from the fp32 network's output, in steps."""

    steps: Annotated[int, Within(0)] = 0  # 0: none
    batch: Annotated[int, Within(1)] = 8  # crops a step
    patch: Annotated[int, Within(8)] = 32  # their height and width
    crops: Annotated[int, Within(1)] = 1024  # that there are to learn from
    seed: Annotated[int, SEED] = 0


@dataclass(frozen=True)
class Preparation:
    """What a precision row asks for, ranges and beyond."""

    ranges: Ranges = CARD
    mix: bool = False
    even: bool = False
    share: bool = False
    narrow: bool = False
    bypass: bool = False
    gptq: bool = False
    bias_correction: bool = False
    tuning: Tuning = field(default_factory=Tuning)

    @property
    def needed(self) -> bool:
        """Whether there is anything to do that takes forward passes for this row alone."""
        asked = self.mix or self.even or self.narrow or self.bias_correction or self.tuning.steps
        methods = {self.ranges.method, *(override.ranges for override in self.ranges.overrides)}
        return bool(asked) or "search" in methods
