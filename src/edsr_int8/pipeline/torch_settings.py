"""How torch computes in stages whose output is compared by its bytes."""

import ctypes

THREADS = 2  # everywhere: another number would add in another order, and end in other bytes

# Of glibc's malloc.h, and the most that it takes.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
MOST_TRIM, MOST_MMAP = 2**31 - 1, 2**25


def settle_torch() -> None:
    import torch  # a second, which other stages do not wait for

    torch.set_num_threads(THREADS)
    _keep_freed_memory()


def _keep_freed_memory() -> None:
    """Let the next tensor take it as it is.

    Else glibc hands large blocks back to the system, which clears every page of them again: a sixth of
    finetuning.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # only glibc has it
    if mallopt:
        mallopt(M_MMAP_THRESHOLD, MOST_MMAP)
        mallopt(M_TRIM_THRESHOLD, MOST_TRIM)
