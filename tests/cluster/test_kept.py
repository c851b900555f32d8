"""Going on after a kill: what is computed again, and what is not."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from cluster_work import write_items
from filelock import FileLock

from edsr_int8.cluster.in_process import InProcess
from edsr_int8.cluster.kept import Kept, Result, complete, unfinished
from edsr_int8.cluster.work import Contents
from edsr_int8.errors import InputError

CONTENTS = {name: name.encode() for name in "abcde"}


@dataclass
class Upper:
    """Files in capital letters. It stops, as a killed process would, after `most` of them."""

    most: int = 100
    computed: list[str] = field(default_factory=list)
    memory_mb: int = 0

    def facts(self) -> Mapping[str, Any]:
        return {}

    def open(self, threads: int) -> Callable[[Iterable[Contents]], Iterator[Result]]:
        return self._run

    def _run(self, contents: Iterable[Contents]) -> Iterator[Result]:
        for item in contents:
            if len(self.computed) == self.most:
                raise KeyboardInterrupt
            self.computed.append(item.name)
            yield Result(item.name, item.digest, item.files[0].upper())


def run(folder: Path, work: Upper, contents: Mapping[str, bytes] = CONTENTS, identity: str = "v1") -> None:
    found = complete(
        InProcess(), work, write_items(folder, contents), Kept(folder / "partial", identity), "upper"
    )
    assert {name: path.read_bytes() for name, path in found.items()} == {
        name: data.upper() for name, data in contents.items()
    }


@pytest.fixture
def killed(tmp_path: Path) -> Path:
    """A folder in which a run stopped after three of five items."""
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, Upper(most=3))
    return tmp_path


def test_what_is_finished_is_not_computed_again(killed: Path) -> None:
    work = Upper()
    run(killed, work)
    assert work.computed == ["d", "e"]


def test_an_item_that_changed_is_computed_again(killed: Path) -> None:
    work = Upper()
    run(killed, work, CONTENTS | {"b": b"other"})
    assert work.computed == ["b", "d", "e"]


def test_other_work_begins_anew(killed: Path) -> None:
    work = Upper()
    run(killed, work, identity="v2")
    assert work.computed == list(CONTENTS)


def test_two_items_with_the_same_contents_are_two(tmp_path: Path) -> None:
    work = Upper()
    run(tmp_path, work, {"a": b"same", "b": b"same"})
    assert work.computed == ["a", "b"]


def test_the_folder_stays_until_all_is_done(tmp_path: Path) -> None:
    folder = tmp_path / "partial"
    with pytest.raises(KeyboardInterrupt), unfinished(folder, "x"):
        (folder / "kept").touch()
        raise KeyboardInterrupt
    with unfinished(folder, "x"):
        assert (folder / "kept").exists()
    assert not folder.exists()


def test_two_processes_do_not_share_a_folder(tmp_path: Path) -> None:
    with (
        FileLock(tmp_path / "partial.lock"),
        pytest.raises(InputError, match=r"^build/x: .*partial: another process works there"),
        unfinished(tmp_path / "partial", "build/x"),
    ):
        pass
