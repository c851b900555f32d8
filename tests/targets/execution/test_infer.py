"""Folders of images through a build: the pictures against torch, and what is left after a failure."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_build import Tiny, photograph

from edsr_int8.cluster.in_process import InProcess
from edsr_int8.cluster.shipped import Shipped
from edsr_int8.data.images import read_rgb, write_png
from edsr_int8.errors import InputError
from edsr_int8.targets.base import Runner, open_target
from edsr_int8.targets.execution import infer as subject
from edsr_int8.targets.execution.infer import Upscaling, infer
from edsr_int8.targets.row import TargetRow
from edsr_int8.targets.runtimes import onnxruntime as ort

SHAPES = {"a": (30, 41), "deep/b": (17, 64), "deep/c": (50, 20)}


@pytest.fixture
def datasets(tmp_path: Path) -> dict[str, Path]:
    for name, shape in SHAPES.items():
        write_png(tmp_path / "set" / "lr" / f"{name}.png", photograph(*shape))
    write_png(tmp_path / "other" / "lr" / "d.png", photograph(20, 20))
    return {"first": tmp_path / "set", "second": tmp_path / "other"}


def target(budget_mb: int = 1024, provider: str = "") -> ort.OnnxRuntime:
    found = open_target(TargetRow("onnxruntime", threads=1, memory_budget_mb=budget_mb, provider=provider))
    assert isinstance(found, ort.OnnxRuntime)
    return found


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def expected(tiny: Tiny, image: np.ndarray) -> np.ndarray:
    return tiny.expected(image.transpose(2, 0, 1)[None])[0].transpose(1, 2, 0)


def test_every_image_of_every_data_set_is_upscaled(
    tiny: Tiny, datasets: dict[str, Path], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    infer(target(), tiny.path, datasets, out, partial=tmp_path / "partial")
    assert files(out) == [
        "first/a.png",
        "first/deep/b.png",
        "first/deep/c.png",
        "second/d.png",
        "status.json",
    ]
    assert json.loads((out / "status.json").read_text()) == {"status": "ok"}
    for name, shape in SHAPES.items():
        assert np.array_equal(read_rgb(out / "first" / f"{name}.png"), expected(tiny, photograph(*shape)))


@pytest.fixture
def shapes_run(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """The shapes of the images that the runtime was given."""
    seen: list[tuple[int, ...]] = []
    load: Callable[..., Runner] = ort.OnnxRuntime.load

    def spy(self: ort.OnnxRuntime, model: Path, **shape: int | None) -> Runner:
        run = load(self, model, **shape)
        return lambda image: (seen.append(image.shape), run(image))[1]

    monkeypatch.setattr(ort.OnnxRuntime, "load", spy)
    return seen


def test_a_tight_budget_gives_tiles_and_the_same_picture(
    tiny: Tiny,
    datasets: dict[str, Path],
    tmp_path: Path,
    shapes_run: list[tuple[int, ...]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tight = ort.Capabilities(("float32",), True, overhead_bytes=0, weight_factor=0, activation_factor=2500)
    monkeypatch.setattr(ort.OnnxRuntime, "capabilities", tight)  # 240 kB a pixel
    infer(target(budget_mb=100), tiny.path, datasets, tmp_path / "out", partial=tmp_path / "partial")
    assert len(shapes_run) > 4 and max(h * w for *_, h, w in shapes_run) <= 100 * 2**20 / 240e3
    for name, shape in SHAPES.items():
        assert np.array_equal(
            read_rgb(tmp_path / "out/first" / f"{name}.png"), expected(tiny, photograph(*shape))
        )


def test_a_fixed_shape_is_the_only_one_run(
    tiny: Tiny, datasets: dict[str, Path], tmp_path: Path, shapes_run: list[tuple[int, ...]]
) -> None:
    infer(target(), tiny.path, datasets, tmp_path / "out", partial=tmp_path / "partial", shape=(16, 20))
    assert set(shapes_run) == {(1, 3, 16, 20)}
    assert np.array_equal(read_rgb(tmp_path / "out/first/a.png"), expected(tiny, photograph(30, 41)))


def test_an_image_smaller_than_the_fixed_shape_is_named(
    tiny: Tiny, datasets: dict[str, Path], tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=r"b\.png: .*17 pixels where the fixed tile has 24"):
        infer(target(), tiny.path, datasets, tmp_path / "out", partial=tmp_path / "partial", shape=(24, 20))


def test_a_budget_below_one_tile_names_one_that_is_enough(
    tiny: Tiny, datasets: dict[str, Path], tmp_path: Path
) -> None:
    with pytest.raises(
        InputError, match=r"memory_budget_mb: 8 does not hold .* give at least \d+$"
    ) as caught:
        infer(target(budget_mb=8), tiny.path, datasets, tmp_path / "out", partial=tmp_path / "partial")
    enough = int(str(caught.value).rsplit(" ", 1)[1])
    infer(target(budget_mb=enough), tiny.path, datasets, tmp_path / "out", partial=tmp_path / "partial")


def test_a_target_that_cannot_run_leaves_only_its_status(
    foreign: Path, datasets: dict[str, Path], tmp_path: Path
) -> None:
    infer(target(), foreign, datasets, tmp_path / "out", partial=tmp_path / "partial")
    assert files(tmp_path / "out") == ["status.json"]
    assert json.loads((tmp_path / "out/status.json").read_text())["status"].startswith(
        f"unavailable: {foreign}: Unheard"
    )


def test_a_damaged_image_stops_it_and_leaves_the_last_result(
    tiny: Tiny, datasets: dict[str, Path], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    infer(target(), tiny.path, datasets, out, partial=tmp_path / "partial")
    before = files(out)
    damaged = datasets["second"] / "lr" / "d.png"
    damaged.write_bytes(damaged.read_bytes()[:300])
    with pytest.raises(InputError, match=r"d\.png"):
        infer(target(), tiny.path, datasets, out, partial=tmp_path / "partial")
    assert files(out) == before
    assert not [path.name for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_a_data_set_without_images_is_refused(tiny: Tiny, tmp_path: Path) -> None:
    (tmp_path / "empty" / "lr").mkdir(parents=True)
    with pytest.raises(InputError, match=r"empty/lr: holds no PNG"):
        infer(
            target(), tiny.path, {"empty": tmp_path / "empty"}, tmp_path / "out", partial=tmp_path / "partial"
        )


class Killed(InProcess):
    """Ends after two images."""

    def map(self, *given: Any, **named: Any) -> Iterator[Any]:
        yield from islice(super().map(*given, **named), 2)
        raise KeyboardInterrupt


def test_a_killed_run_goes_on_at_the_image_where_it_was(
    tiny: Tiny, datasets: dict[str, Path], tmp_path: Path, shapes_run: list[tuple[int, ...]]
) -> None:
    infer(target(), tiny.path, datasets, tmp_path / "whole", partial=tmp_path / "partial")
    with pytest.raises(KeyboardInterrupt):
        infer(
            target(), tiny.path, datasets, tmp_path / "out", partial=tmp_path / "partial", executor=Killed()
        )
    assert not (tmp_path / "out").exists()
    shapes_run.clear()
    infer(target(), tiny.path, datasets, tmp_path / "out", partial=tmp_path / "partial")
    assert len(shapes_run) == 2 and not (tmp_path / "partial").exists()
    for name in files(tmp_path / "whole"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_what_is_kept_belongs_to_the_build_and_the_row_but_not_to_a_number_of_threads(
    tiny: Tiny, foreign: Path
) -> None:
    row = TargetRow("onnxruntime", threads=1)
    works = [
        Upscaling(row, Shipped(tiny.path), None, 0),
        Upscaling(row, Shipped(foreign), None, 0),
        Upscaling(replace(row, memory_budget_mb=99), Shipped(tiny.path), None, 0),
        Upscaling(replace(row, threads=2), Shipped(tiny.path), None, 0),
    ]
    identities = [work.identity() for work in works]
    assert len(set(identities)) == 3 and identities[0] == identities[3]


@pytest.mark.parametrize(("of_row", "of_worker", "taken"), [(0, 1, 1), (4, 2, 2), (1, 2, 1), (3, 0, 3)])
def test_a_worker_computes_with_its_own_threads_and_no_more_than_the_row_has(
    tiny: Tiny, monkeypatch: pytest.MonkeyPatch, of_row: int, of_worker: int, taken: int
) -> None:
    rows: list[TargetRow] = []
    monkeypatch.setattr(subject, "open_target", lambda row: rows.append(row) or open_target(row))
    monkeypatch.setattr(subject, "set_torch_threads", lambda row: None)
    Upscaling(TargetRow("onnxruntime", threads=of_row), Shipped(tiny.path), None, 0).open(of_worker)
    assert [row.threads for row in rows] == [taken]
