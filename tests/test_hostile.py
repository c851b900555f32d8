"""Every file of ../shared/cases/hostile through the command that takes such files: one line that names it."""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tiny_build import write_tiny

from edsr_int8.__main__ import main
from edsr_int8.checkpoints.read import read_state_dict
from edsr_int8.data.download.fetch import fetch
from edsr_int8.data.download.row import DownloadRow
from edsr_int8.data.images import write_png
from edsr_int8.errors import InputError
from edsr_int8.files import sha256

ROOT = Path(__file__).resolve().parents[1]
WHOLE = {"good.pt"}


def add(file: Path, folder: Path) -> int:
    for name in ("dvc.yaml", "params.yaml"):
        shutil.copy(ROOT / name, folder)
    before = (folder / "params.yaml").read_bytes()
    status = main(["add", str(file)])
    assert (folder / "params.yaml").read_bytes() == before
    return status


def build(file: Path, folder: Path) -> int:
    write_png(folder / "in.png", np.zeros((20, 24, 3), np.uint8))
    return main(["apply", str(file), str(folder / "in.png"), str(folder / "out.png")])


def picture(file: Path, folder: Path) -> int:
    write_tiny(folder / "model.onnx")
    return main(["apply", str(folder / "model.onnx"), str(file), str(folder / "out.png")])


def archive(file: Path, folder: Path) -> int:
    """As the stage `fetch` does, from a URL of this machine."""
    row = DownloadRow((file.as_uri(),), sha256(file), unpack=file.suffix[1:])  # type: ignore[arg-type]
    with pytest.raises(InputError) as caught:
        fetch(row, folder / "out.png", partial=folder / "partial")
    print(f"error: {caught.value}", file=sys.stderr)
    return 1


COMMANDS: dict[str, Callable[[Path, Path], int]] = {
    ".pt": add,
    ".onnx": build,
    ".png": picture,
    ".zip": archive,
    ".tar": archive,
}


def test_every_hostile_file_ends_in_one_line(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    files = sorted((shared / "cases" / "hostile").iterdir())
    assert len(files) > len(WHOLE)
    for file in files:
        folder = tmp_path / file.name
        folder.mkdir()
        monkeypatch.chdir(folder)
        if file.name in WHOLE:
            assert read_state_dict(file)
            continue
        assert COMMANDS[file.suffix](file, folder) == 1, file.name
        said = capsys.readouterr().err
        assert said.startswith("error: ") and said.count("\n") == 1 and file.name in said
        assert not (folder / "out.png").exists()
