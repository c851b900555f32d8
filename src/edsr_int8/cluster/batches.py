"""Items in batches: what one task of an executor works on."""

from collections.abc import Iterable, Iterator

from edsr_int8.cluster.work import Item

# A batch holds at most so many items: a task costs a scheduler about a millisecond, and what a kill loses is
# the batches on their way ...
MOST_ITEMS = 16
# ... and so many bytes, for the tasks on their way lie in the scheduler's memory. An item may be larger.
MOST_BYTES = 8 * 2**20


def batches(items: Iterable[Item]) -> Iterator[list[Item]]:
    """The items in their order, in batches of at most MOST_ITEMS, MOST_BYTES and a weight of 1."""
    batch: list[Item] = []
    weight = 0.0
    for item in items:
        more = max(item.weight, sum(path.stat().st_size for path in item.paths) / MOST_BYTES)
        if batch and (len(batch) == MOST_ITEMS or weight + more > 1):
            yield batch
            batch, weight = [], 0.0
        batch.append(item)
        weight += more
    if batch:
        yield batch
