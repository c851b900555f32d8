"""A bit-exact reference of an int8 accelerator, computed from a QDQ graph in integer arithmetic.

Tensors are uint8 or int8, accumulators int32. A change of scale rounds once, by the row's `rounding`:
  ''                    float32 multiplier, halves to even: onnxruntime's rule
  'fixed_point'         31-bit integer multiplier and shift, halves up: as chips round
  'fused'               the convolution feeding a residual add is clamped, not rounded; the add rounds once.
                        Only where nothing reads the add's other term later: OpenVINO's rule, but for ties
  'fixed_point+fused'   both
  'tflite'              31-bit multiplier, rounded twice: TensorFlow Lite's reference kernels
"""

from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from edsr_int8.onnx_file import read_onnx
from edsr_int8.targets.base import Capabilities, Runner
from edsr_int8.targets.figures import Placement
from edsr_int8.targets.placement import all_convolutions, placement
from edsr_int8.targets.row import TargetRow
from edsr_int8.tiling import MIB

CAPABILITIES = Capabilities(
    dtypes=("int8",),
    dynamic_shape=True,
    overhead_bytes=320 * MIB,
    weight_factor=16,
    activation_factor=14,
    timed_runs=1,  # it is a reference; nobody expects speed
)


@dataclass(frozen=True)
class Integer:
    row: TargetRow
    capabilities = CAPABILITIES

    def probe(self) -> dict[str, Any]:
        """Without the processor: the result is the same on every one."""
        return {"runtime": "integer", "version": version("torch"), "available": True, "why_not": ""}

    def load(self, model: Path, *, height: int | None = None, width: int | None = None) -> Runner:
        from edsr_int8.targets.integer.ops import open_graph  # torch takes a second that a probe need not

        return open_graph(model, rounding=self.row.rounding)

    def placement(self, model: Path, *, height: int, width: int) -> Placement:
        """All in integers: it refuses a build with anything else, and 8 bits are the most it knows."""
        graph = read_onnx(model, "quantize").graph
        kinds = all_convolutions(graph, "int8")
        return placement(graph, kinds, partitions=1, cpu_nodes=len(graph.node))


def open_target(row: TargetRow) -> Integer:
    return Integer(row)
