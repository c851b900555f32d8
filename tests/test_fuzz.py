"""A short, always equal part of `make fuzz`: damaged files end in one line, for every reader."""

from pathlib import Path

import pytest
from fuzz.run import attempt, number_of
from fuzz.subjects import SUBJECTS

INPUTS = 30  # of each subject; all take five seconds


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", SUBJECTS)
def test_damaged_files_are_taken_or_refused_in_one_line(name: str, tmp_path: Path) -> None:
    subject = SUBJECTS[name]()
    subject.read(subject.seeds[-1 if name == "graphs" else 0], tmp_path)  # a good one is taken
    said = {number: attempt(subject, number_of(0, name, number)) for number in range(INPUTS)}
    assert {number: text for number, text in said.items() if text not in ("taken", "refused")} == {}
    assert "refused" in said.values()
