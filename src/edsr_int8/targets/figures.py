"""Speed, memory and arithmetic of a build on a target, apart from measuring them.

A report needs no runtime's code.
"""

from dataclasses import dataclass
from typing import Literal

Arithmetic = Literal["int8", "int16", "float"]  # what the operands of a convolution are when it multiplies


@dataclass(frozen=True)
class Placement:
    """In which arithmetic a build's convolutions ran and where its nodes did, as the runtime itself tells.

    None where the runtime does not tell.
    """

    int8_convolutions: int | None = None
    int16_convolutions: int | None = None
    float_convolutions: int | None = None
    int8_mac_share: float | None = None
    int16_mac_share: float | None = None
    partitions: int | None = None  # subgraphs that the runtime compiled, each a call of the device
    cpu_nodes: int | None = None  # nodes of the compiled graph that run on the CPU

    @property
    def convolutions(self) -> int | None:
        """All of them."""
        counts = (self.int8_convolutions, self.int16_convolutions, self.float_convolutions)
        known = [count for count in counts if count is not None]
        return sum(known) if known else None


@dataclass(frozen=True)
class Timing:
    """One build on one target. The figures are None where the target could not run the build."""

    status: str  # "ok", or "unavailable: why"
    height: int  # pixels of the input
    width: int
    machine: str
    runtime: str
    version: str
    threads: int
    latency_ms: float | None = None  # median, from uint8 HWC array to array
    spread_ms: float | None = None  # interquartile range of the same runs; None for a single run
    megapixels_per_s: float | None = None  # output pixels, at the median
    peak_memory_mb: float | None = None  # MiB, highest resident memory of the process, Python included
    load_s: float | None = None  # reading and compiling the graph, with the runtime's libraries loaded
    placement: Placement = Placement()
