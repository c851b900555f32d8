"""`edsr-int8` as a user types it: in the wrong folder, and into a pipe that closes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from edsr_int8.__main__ import main

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("command", ["check", "summary"])
def test_a_sub_folder_is_told_where_to_stand(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT / "presets")
    assert main([command]) == 1
    assert capsys.readouterr().err == f"error: dvc.yaml: not in this folder; run this in {ROOT}\n"


def test_a_folder_outside_is_told_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["check"]) == 1
    assert capsys.readouterr().err.endswith("run this in the folder of the repository\n")


def test_a_reader_that_has_read_enough_ends_it_quietly(tmp_path: Path) -> None:
    (tmp_path / "dvc.yaml").touch()
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "table.md").write_text("| row |\n" * 100_000)
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "edsr_int8", "summary"]
    done = subprocess.run(
        command, cwd=tmp_path, stdout=writing, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(writing)
    assert done.stderr == "" and done.returncode == 141
