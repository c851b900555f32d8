"""The checksum in an ONNX file: any reader reads the file, ours refuses it with a flipped bit."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from tiny_build import Tiny, photograph, write_tiny

from edsr_int8.errors import InputError
from edsr_int8.onnx_file import read_onnx, write_onnx
from edsr_int8.onnx_seal import KEY
from edsr_int8.targets.base import open_target
from edsr_int8.targets.execution.upscale import open_build
from edsr_int8.targets.row import TargetRow


@pytest.fixture
def tiny(tmp_path: Path) -> Tiny:
    """A build without a checksum, as others write it."""
    return write_tiny(tmp_path / "foreign.onnx")


@pytest.fixture
def build(tiny: Tiny, tmp_path: Path) -> Path:
    write_onnx(onnx.load(tiny.path), tmp_path / "model.onnx")
    return tmp_path / "model.onnx"


def test_equal_models_give_equal_bytes_and_onnxs_own_reader_sees_metadata(build: Path, tiny: Tiny) -> None:
    first = build.read_bytes()
    write_onnx(read_onnx(build), build)
    assert build.read_bytes() == first
    model = onnx.load(build)
    onnx.checker.check_model(model)
    assert [entry.key for entry in model.metadata_props][-1] == KEY
    assert read_onnx(build) == onnx.load(tiny.path)


def test_runtimes_run_it(build: Path, tiny: Tiny) -> None:
    planes = np.ascontiguousarray(photograph(8, 9).transpose(2, 0, 1)[None])
    session = onnxruntime.InferenceSession(build)
    [output] = session.run(None, {session.get_inputs()[0].name: planes})
    assert np.array_equal(output, tiny.expected(planes))


def test_no_flipped_bit_changes_what_runs(build: Path, tiny: Tiny) -> None:
    """In every byte: refused in a line, or, in the entry of the checksum itself, the same network."""
    whole, network = build.read_bytes(), onnx.load(tiny.path)
    refused = 0
    for place in range(len(whole)):
        flipped = bytearray(whole)
        flipped[place] ^= 1 << place % 8
        build.write_bytes(flipped)
        try:
            read = read_onnx(build)
        except InputError as error:
            assert str(build) in str(error) and "\n" not in str(error)
            refused += 1
        else:
            assert read.graph == network.graph and place > len(whole) - 100
    assert refused >= len(whole) - 20


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino", "torch"])
def test_every_target_refuses_it(runtime: str, build: Path) -> None:
    if runtime == "openvino":
        pytest.importorskip("openvino")
    damaged = bytearray(build.read_bytes())
    damaged[damaged.index(b"Conv") - 30] ^= 4
    build.write_bytes(damaged)
    with pytest.raises(
        InputError, match=r"model\.onnx: .*its checksum tells that it is damaged, or was edited"
    ):
        open_build(open_target(TargetRow(runtime)), build)  # type: ignore[arg-type]


def test_a_file_of_others_has_none_and_is_read(tiny: Tiny) -> None:
    assert read_onnx(tiny.path) == onnx.load(tiny.path)
