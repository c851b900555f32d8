"""A bit-exact reference of an int8 accelerator, computed from a QDQ graph in integer arithmetic.

Tensors are uint8 or int8, accumulators int32. Going from one scale to another is one rounding, by the
rule that `rounding` names (requantize.py):
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

from edsr_int8.machine import cores
from edsr_int8.targets.base import Capabilities, Runner
from edsr_int8.targets.row import TargetRow
from edsr_int8.tiling import MIB

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
    row: TargetRow
    capabilities = CAPABILITIES

    def probe(self) -> dict[str, Any]:
        """No processor: the result is the same on all."""
        return {"runtime": "integer", "version": version("torch"), "available": True, "why_not": ""}

    def load(self, model: Path, *, height: int | None = None, width: int | None = None) -> Runner:
        from edsr_int8.targets.integer.ops import open_graph  # torch: a second that a probe need not take

        return open_graph(
            model,
            fixed_point="fixed_point" in self.row.rounding,
            fused="fused" in self.row.rounding,
            threads=self.row.threads or cores(),
        )


def open_target(row: TargetRow) -> Integer:
    return Integer(row)
