"""What one task works on: never too many images, bytes, or seconds."""

from itertools import repeat
from pathlib import Path

import pytest

from edsr_int8.cluster import batches as subject
from edsr_int8.cluster.batches import MOST_ITEMS, batches
from edsr_int8.cluster.work import Item


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "x").write_bytes(bytes(100))
    return tmp_path / "x"


def lengths(items: list[Item]) -> list[int]:
    return [len(batch) for batch in batches(items)]


def test_items_keep_their_order(path: Path) -> None:
    items = [Item(str(i), (path,)) for i in range(40)]
    assert [item for batch in batches(items) for item in batch] == items
    assert lengths(items) == [MOST_ITEMS, MOST_ITEMS, 40 - 2 * MOST_ITEMS]


def test_heavy_items_fill_a_batch_sooner(path: Path) -> None:
    assert lengths([Item(str(i), (path,), weight=0.3) for i in range(7)]) == [3, 3, 1]
    assert lengths([Item(str(i), (path,), weight=5) for i in range(3)]) == [1, 1, 1]


def test_bytes_are_bounded(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "MOST_BYTES", 450)
    assert lengths([Item(str(i), (path, path)) for i in range(5)]) == [2, 2, 1]


def test_a_batch_is_made_when_it_is_asked_for(path: Path) -> None:
    endless = repeat(Item("again", (path,)))
    assert len(next(batches(endless))) == MOST_ITEMS
