"""A bit-exact reference of an int8 accelerator, computed from a QDQ graph in integer arithmetic.

Tensors are uint8 or int8, accumulators int32. Going from one scale to another is one rounding, by the
rule that `provider` names (exact.py):
  ''                    float32 multiplier, halves to even
  'fixed_point'         31-bit integer multiplier and shift, halves up
  'fused'               the convolution before a residual sum is saturated, but only the sum is rounded,
                        where the sum's other term is not read again
  'fixed_point+fused'   both
"""

from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from edsr_int8.errors import InputError
from edsr_int8.targets.base import Capabilities, Runner, TargetOptions, cores
from edsr_int8.tiling import MIB

KNOBS = ("fixed_point", "fused")
CAPABILITIES = Capabilities(
    dtypes=("int8",),
    dynamic_shape=True,
    overhead_bytes=320 * MIB,
    weight_factor=16,
    activation_factor=14,
    timed_runs=1,  # a reference, of which nobody expects speed
)


@dataclass(frozen=True)
class Integer:
    options: TargetOptions
    capabilities = CAPABILITIES

    def probe(self) -> dict[str, Any]:
        """No processor: the result is the same on all."""
        self._knobs()
        return {"runtime": "integer", "version": version("torch"), "available": True, "why_not": ""}

    def load(self, model: Path, *, height: int | None = None, width: int | None = None) -> Runner:
        from edsr_int8.targets.integer.ops import open_graph  # torch: a second that a probe need not take

        knobs = self._knobs()
        return open_graph(
            model,
            fixed_point="fixed_point" in knobs,
            fused="fused" in knobs,
            threads=self.options.threads or cores(),
        )

    def _knobs(self) -> set[str]:
        knobs = set(filter(None, self.options.provider.split("+")))
        if unknown := knobs.difference(KNOBS):
            raise InputError(
                f"provider: integer knows no {min(unknown)!r}; known are '', {' and '.join(KNOBS)}"
            )
        return knobs


def open_target(options: TargetOptions) -> Integer:
    return Integer(options)
