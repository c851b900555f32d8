"""How many threads torch uses: one number for the whole process, so the library leaves it alone.

The entry of a process sets it, once, before it loads a build: a stage (stages/infer.py), the worker
process that measures speed (execution/timing.py), the command `apply`, a benchmark. Runtimes other than
`integer` and `torch` take a number of threads for each loaded build.
"""

from edsr_int8.machine import cores
from edsr_int8.targets.row import TargetRow

TORCH_RUNTIMES = ("integer", "torch")


def set_torch_threads(row: TargetRow) -> None:
    """Give torch the row's number of threads (0: all cores), if its runtime computes with torch."""
    if row.runtime in TORCH_RUNTIMES:
        import torch  # takes a second that the other runtimes need not wait

        torch.set_num_threads(row.threads or cores())
