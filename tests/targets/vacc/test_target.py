"""The vendor's accelerator, with stand-ins for its tools: the commands that run, what becomes of outputs."""

import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from tiny_build import photograph, write_float, write_tiny
from tiny_qdq import write_edsr

from edsr_int8.data.images import read_rgb, write_png
from edsr_int8.errors import InputError
from edsr_int8.models.description import Description
from edsr_int8.targets.base import Unavailable, open_target
from edsr_int8.targets.row import TargetRow
from edsr_int8.targets.vacc.bundle.config import AcceleratorModel
from edsr_int8.targets.vacc.bundle.inputs import AcceleratorInput, accelerator_inputs, output_files
from edsr_int8.targets.vacc.bundle.npz import write_npz
from edsr_int8.targets.vacc.target import AcceleratorJob, Vacc, fails_on_accelerator

NETWORK = Description("edsr", 4, 1, 2, 1.0, "pixelshuffle")
SHAPE = (20, 32)


def target(outputs: str = "") -> Vacc:
    found = open_target(TargetRow("vacc", outputs=outputs))
    assert isinstance(found, Vacc)
    return found


@pytest.fixture
def job(tmp_path: Path) -> AcceleratorJob:
    write_float(tmp_path / "float.onnx", scale=2)
    write_edsr(tmp_path / "int8.onnx")
    for kind, name in (("calibration", "c"), ("card/photos/lr", "b"), ("card/photos/lr", "a")):
        write_png(tmp_path / "images" / kind / f"{name}.png", photograph(*SHAPE))
    return AcceleratorJob(
        model=AcceleratorModel("net", "basicsr", 2, SHAPE),
        network=NETWORK,
        build=tmp_path / "int8.onnx",
        float_model=tmp_path / "float.onnx",
        calibration=tmp_path / "images" / "calibration",
        inputs=accelerator_inputs(tmp_path / "images", ["photos"]),
    )


def planes(value: float) -> np.ndarray:
    return np.full((3, 40, 64), value, np.float32)


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """Outputs of a and b as vamp writes them, copied back."""
    for i, value in enumerate((0.5, 1.25)):
        write_npz(tmp_path / "copied" / "net" / f"output_{i:06d}.npz", "output_0", planes(value))
    return tmp_path / "copied"


def test_outputs_that_were_copied_back_become_images_in_the_order_of_the_list(
    job: AcceleratorJob, copied: Path, tmp_path: Path
) -> None:
    target(str(copied)).run(job, tmp_path / "out")
    folder = tmp_path / "out" / "card" / "photos"
    assert sorted(path.name for path in folder.iterdir()) == ["a.png", "b.png"]
    assert (read_rgb(folder / "a.png") == 128).all()  # 127.5, halves to even
    assert (read_rgb(folder / "b.png") == 255).all()  # clipped
    assert read_rgb(folder / "a.png").shape == (40, 64, 3)


def test_outputs_come_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    inputs = [AcceleratorInput(f"card/photos/{i}", tmp_path / f"{i}.png") for i in range(12)]
    for i in range(12):
        write_npz(tmp_path / f"output_{i}.npz", "output_0", planes(i))
    assert [file.stem for file in output_files(tmp_path, inputs)] == [f"output_{i}" for i in range(12)]


def test_official_outputs_are_grey_levels_already(job: AcceleratorJob, copied: Path, tmp_path: Path) -> None:
    write_npz(copied / "net" / "output_000000.npz", "output_0", planes(77.4)[None])
    official = replace(job, model=AcceleratorModel("net", "official", 2, SHAPE))
    target(str(copied)).run(official, tmp_path / "out")
    assert (read_rgb(tmp_path / "out" / "card" / "photos" / "a.png") == 77).all()


def test_the_probe_tells_outputs_apart(copied: Path) -> None:
    before = target(str(copied)).probe()
    assert before["available"] and before == target(str(copied)).probe()
    write_npz(copied / "net" / "output_000000.npz", "output_0", planes(0.25))
    assert target(str(copied)).probe() != before


def test_outputs_that_do_not_fit_are_refused(job: AcceleratorJob, copied: Path, tmp_path: Path) -> None:
    path = copied / "net" / "output_000001.npz"
    for spoil, says in (
        (lambda: write_npz(path, "output_0", planes(0.5)[:, 1:]), r"000001\.npz: output_0 has shape \(3, 39"),
        (lambda: write_npz(path, "output_1", planes(0.5)), r"000001\.npz: holds output_1, expected output_0"),
        (lambda: write_npz(path, "output_0", planes(np.nan)), r"000001\.npz: output_0 holds NaN"),
        (lambda: path.write_bytes(b"no archive"), r"000001\.npz: not what vamp writes"),
        (lambda: write_npz(path, "output_0", np.array(["1"])), r"000001\.npz: output_0 holds <U1"),
        (
            lambda: path.rename(path.with_name("output_000002.npz")),
            r"000002\.npz: expected output 1 of 0 to 1",
        ),
        (
            lambda: path.with_name("output_000000.npz").rename(path),
            r"000001\.npz: expected output 0 of 0 to 1",
        ),
        (lambda: path.rename(path.with_name("output.npz")), r"output\.npz: expected output 0 of 0 to 1"),
        (lambda: path.with_name("output_000002.npz").unlink(), r"net: holds 1 \.npz outputs for 2 inputs"),
    ):
        spoil()
        with pytest.raises(InputError, match=says):
            target(str(copied)).run(job, tmp_path / "out")


def test_what_cannot_run_there_says_why(job: AcceleratorJob, copied: Path, tmp_path: Path) -> None:
    write_tiny(tmp_path / "float_build.onnx")
    large = replace(job, network=replace(NETWORK, scale=4, features=256))
    for outputs, given, says in (
        ("", job, "vamc and vamp are not installed"),
        ("", None, "set the model row's shape and add card"),
        (str(copied), replace(job, build=tmp_path / "float_build.onnx"), "int8 builds, not float32"),
        (str(tmp_path / "nowhere"), job, "nowhere: no such folder"),
        (str(copied.parent), job, "copy the outputs of net there"),
    ):
        with pytest.raises(Unavailable, match=says):
            target(outputs).run(given, tmp_path / "out")
    with pytest.raises(Unavailable, match="compiles bundles"):
        target().load(large.build)


@pytest.mark.parametrize(
    "features, scale, fails",
    [(64, 2, False), (256, 2, False), (64, 3, True), (256, 3, True), (64, 4, False), (256, 4, True)],
)
def test_the_networks_that_fail_on_the_accelerator(features: int, scale: int, fails: bool) -> None:
    assert fails_on_accelerator(Description("edsr", features, 16, scale, 1.0, "pixelshuffle")) == fails


STAND_IN = """#!{python}
import json, pathlib, sys
import numpy as np
name = pathlib.Path(sys.argv[0]).name
with open({log!r}, "a") as log:
    log.write(json.dumps([name, *sys.argv[1:]]) + "\\n")
if name == "vamp":
    listed = pathlib.Path(sys.argv[sys.argv.index("--datalist") + 1]).read_text().splitlines()
    for i, line in enumerate(listed):
        image = np.load(line)["input_0"].repeat(2, 1).repeat(2, 2) / np.float32(255)
        folder = pathlib.Path(sys.argv[sys.argv.index("--path_output") + 1])
        np.savez(folder / f"output_{{i:06d}}.npz", output_0=image)
elif not pathlib.Path(sys.argv[2]).is_file():
    sys.exit("no such config")
"""


def install(folder: Path, *names: str, log: Path) -> None:
    folder.mkdir()
    for name in names:
        (folder / name).write_text(STAND_IN.format(python=sys.executable, log=str(log)))
        (folder / name).chmod(0o755)


def test_the_vendors_tools_are_called_in_the_bundle(
    job: AcceleratorJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path / "bin", "vamc", "vamp", log=tmp_path / "log")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    target().run(job, tmp_path / "out")
    called = [" ".join(json.loads(line)) for line in (tmp_path / "log").read_text().splitlines()]
    assert called == [
        "vamc compile compile.yaml",
        "vamp -m deploy_weights/net_int8/mod --vdsp_params vdsp_params.json -i 1 p 1 -b 1 "
        "-s [3,20,32] --datalist npz_datalist_here.txt --path_output npz_output",
    ]
    doubled = photograph(*SHAPE).repeat(2, 0).repeat(2, 1)
    assert np.array_equal(read_rgb(tmp_path / "out" / "card" / "photos" / "a.png"), doubled)
    with pytest.raises(Unavailable, match="times out or runs out of memory"):
        target().run(replace(job, network=replace(NETWORK, scale=3)), tmp_path / "out")


def test_a_tool_that_fails_is_one_line(
    job: AcceleratorJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path / "bin", "vamc", "vamp", log=tmp_path / "log")
    (tmp_path / "bin" / "vamc").write_text("#!/bin/sh\necho working\necho no device >&2\nexit 3\n")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    with pytest.raises(Unavailable, match=r"^vamc stopped with exit status 3: no device$"):
        target().run(job, tmp_path / "out")


def test_the_python_runtime_stands_in_for_vamp(
    job: AcceleratorJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Anything:
        def __init__(self, *_: object) -> None: ...

        def __getattr__(self, _: str):
            return lambda *_: None

    class Stream(Anything):
        def run_sync(self, images: list[np.ndarray]) -> list[list[np.ndarray]]:
            return [[image[None].repeat(2, 2).repeat(2, 3) / np.float32(255) for image in images]]

    class Operator:
        load_ops_from_json_file = staticmethod(lambda path: [path])

    vsx = SimpleNamespace(
        set_device=lambda _: None, Model=Anything, ModelOperator=Anything, Operator=Operator, Graph=Anything,
        Stream=Stream, StreamBalanceMode=SimpleNamespace(ONCE=0), as_numpy=lambda output: output,
        ImageFormat=SimpleNamespace(RGB_PLANAR=0), create_image=lambda planes, *_: planes,
        __spec__=SimpleNamespace(),
    )  # fmt: skip
    monkeypatch.setitem(sys.modules, "vaststreamx", vsx)  # type: ignore[arg-type]
    install(tmp_path / "bin", "vamc", log=tmp_path / "log")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    target().run(job, tmp_path / "out")
    doubled = photograph(*SHAPE).repeat(2, 0).repeat(2, 1)
    assert np.array_equal(read_rgb(tmp_path / "out" / "card" / "photos" / "b.png"), doubled)
