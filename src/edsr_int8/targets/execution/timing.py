"""How fast a build runs on a target and how much memory it takes, measured in a process of its own."""

import resource
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from statistics import median, quantiles

import numpy as np

from edsr_int8.ending import end_on_signals
from edsr_int8.machine import cores, machine
from edsr_int8.progress import bar
from edsr_int8.targets.base import Target, Unavailable, open_target
from edsr_int8.targets.execution.build import read_build
from edsr_int8.targets.execution.upscale import open_build, require
from edsr_int8.targets.figures import Placement, Timing
from edsr_int8.targets.row import TargetRow
from edsr_int8.targets.torch_threads import set_torch_threads

ENOUGH_S = 0.5  # of runs, once there are FEWEST; a single run as long will do, after one that does not count
FEWEST = 3
SIMULATED = "it is simulated here; its speed and memory are not the device's"


def measure(
    target: Target, model: Path, *, height: int, width: int, runs: int = 0, warmup: int = 1
) -> Timing:
    """Time `model` on a random image of `height` x `width` pixels, tiled within the budget as `infer` does.

    `runs` runs count (0: the target's timed_runs). Before them come `warmup` runs that do not count: some
    runtimes compile in them; fewer than `runs`, so none before a single one. Where runs are long, fewer will
    do: see `counted_seconds`. All run in a fresh process that does nothing else. `integer` loads torch within
    load_s.
    """
    runs = runs or target.capabilities.timed_runs
    timing = Timing(
        status="ok",
        height=height,
        width=width,
        machine=machine(),
        runtime=target.row.runtime,
        version=target.probe()["version"],
        threads=target.row.threads or cores(),
    )
    try:  # before a process is started for it
        build = read_build(model)
        require(target, build.dtype, build.scheme)
    except Unavailable as error:
        return replace(timing, status=f"unavailable: {error}")
    ending = partial(end_on_signals, with_parent=True)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=ending) as pool:
        try:
            return pool.submit(_measure, timing, target.row, model, runs, min(warmup, runs - 1)).result()
        except Unavailable as error:
            return replace(timing, status=f"unavailable: {error}")
        except BrokenProcessPool:
            return replace(timing, status="unavailable: the process was killed, most likely for its memory")


def _measure(timing: Timing, row: TargetRow, model: Path, runs: int, warmup: int) -> Timing:
    """`timing` with its figures. This is the entry of the worker process."""
    set_torch_threads(row)
    target = open_target(row)
    target.probe()  # loads the runtime's libraries
    shape = (timing.height, timing.width)
    if target.capabilities.seconds_per_gmac:
        return replace(timing, status=f"unavailable: {SIMULATED}", placement=_placement(target, model, shape))
    start = time.perf_counter()
    upscale = open_build(target, model, shape=None if target.capabilities.dynamic_shape else shape)
    load_s = time.perf_counter() - start
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    seconds = counted_seconds(lambda: upscale(image), runs, warmup)
    middle = median(seconds)
    return replace(
        timing,
        load_s=load_s,
        latency_ms=1e3 * middle,
        spread_ms=_interquartile_range_ms(seconds),
        megapixels_per_s=timing.height * timing.width * upscale.build.whole.scale**2 / 1e6 / middle,
        peak_memory_mb=_peak_memory_mb(),
        placement=_placement(target, model, shape),  # after the peak: it may load the build again
    )


def counted_seconds(
    run: Callable[[], object], runs: int, warmup: int, clock: Callable[[], float] = time.perf_counter
) -> list[float]:
    """Seconds of each run that counts: `runs` of them after `warmup`, or fewer once ENOUGH_S have passed.

    Then never fewer than three, or `runs`: a median of three is not moved by a slow first run, so that one
    counts where there are no more. Of runs that take ENOUGH_S each, one.
    """
    seconds: list[float] = []
    fewest = min(FEWEST, runs)
    for _ in bar(range(warmup + runs), "time", unit="run"):
        start = clock()
        run()
        seconds.append(clock() - start)
        if len(seconds) > warmup and seconds[-1] >= ENOUGH_S:
            return seconds[warmup:]
        if len(seconds) >= fewest and sum(seconds) >= ENOUGH_S:
            break
    return seconds[warmup:] if len(seconds) - warmup >= fewest else seconds


def _placement(target: Target, model: Path, shape: tuple[int, int]) -> Placement:
    try:
        return target.placement(model, height=shape[0], width=shape[1])
    except Unavailable:  # the build runs, so its figures stand
        return Placement()


def _interquartile_range_ms(seconds: list[float]) -> float | None:
    """None for a single run, which has no spread."""
    if len(seconds) < 2:
        return None
    low, _, high = quantiles(seconds, n=4, method="inclusive")
    return 1e3 * (high - low)


def _peak_memory_mb() -> float:
    """MiB. Linux's ru_maxrss would not do: a new process inherits it from the one that started it."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024
    except (OSError, StopIteration):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # macOS counts bytes
