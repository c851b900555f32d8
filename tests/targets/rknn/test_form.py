"""The form for Rockchip's toolkit: the same pictures, and grids that the toolkit leaves as they are."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper
from tiny_build import photograph
from tiny_qdq import write_edsr

from edsr_int8.onnx_session import session_options
from edsr_int8.targets.rknn.form import rknn_form


@pytest.fixture
def model(tmp_path: Path) -> Path:
    write_edsr(tmp_path / "model.onnx")
    return tmp_path / "model.onnx"


def run(content: bytes, image: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(content, session_options(1), providers=["CPUExecutionProvider"])
    return session.run(None, {"image": image})[0]


def test_it_is_the_same_function(model: Path) -> None:
    image = np.ascontiguousarray(photograph(24, 32).transpose(2, 0, 1)[None])
    written = rknn_form(model, (24, 32)).SerializeToString()
    assert np.array_equal(run(written, image), run(model.read_bytes(), image))


def test_both_ends_of_a_weights_grid_are_as_far_from_zero(model: Path) -> None:
    """The toolkit's grid has 127 steps to the wider end of -128..127 around the zero point."""
    written = rknn_form(model, (24, 32))
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in written.graph.initializer}
    weights = [n for n in written.graph.node if n.op_type == "DequantizeLinear" and n.input[0] in constants]
    grids = [n for n in weights if constants[n.input[0]].dtype == np.int8]
    assert len(grids) == 8  # seven convolutions, and the one in place of the padding
    for node in grids:
        zero = constants[node.input[2]].astype(int)
        assert np.array_equal(127 - zero - 1, zero + 128) and (zero == -1).all()


def test_nothing_pads_channels(model: Path) -> None:
    operations = {node.op_type for node in onnx.load(model).graph.node}
    assert "Pad" in operations
    assert "Pad" not in {node.op_type for node in rknn_form(model, (24, 32)).graph.node}
