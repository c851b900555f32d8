"""What a precision row asks of the quantizer."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Override:
    """A method for the tensors whose names match the pattern `tensors` (`body.*.conv1`)."""

    tensors: str
    ranges: str
    percentile: float = 100.0


@dataclass(frozen=True)
class Ranges:
    """How each tensor's range is found: by `method`, unless the last override that names it says else."""

    method: str
    percentile: float = 100.0
    overrides: tuple[Override, ...] = ()

    @property
    def methods(self) -> set[str]:
        return {self.method, *(override.ranges for override in self.overrides)}


CARD = Ranges("percentile", 99.999)  # the model card's own


@dataclass(frozen=True)
class Preparation:
    """What a precision row asks for, beyond ranges off a histogram."""

    ranges: Ranges
    mix: bool = False
    even: bool = False
    share: bool = False
    bias_correction: bool = False
    steps: int = 0
    batch: int = 8
    patch: int = 32
    crops: int = 1024
    seed: int = 0

    @property
    def needed(self) -> bool:
        """Whether there is anything to do that needs a forward pass."""
        asked = self.mix or self.even or self.share or self.bias_correction or self.steps
        return bool(asked) or "search" in self.ranges.methods
