"""How many threads torch computes with in stages whose output is compared by its bytes."""

THREADS = 2  # everywhere: another number would add in another order, and end in other bytes


def fix_torch_threads() -> None:
    import torch  # a second, which other stages do not wait for

    torch.set_num_threads(THREADS)
