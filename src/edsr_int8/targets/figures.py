"""Speed and memory of a build on a target, apart from measuring them: a report needs no runtime's code."""

from dataclasses import dataclass


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
