"""High-precision layers in 16-bit integers: what is 16 bits wide, and that it loses next to nothing."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from int8_build import observed
from int8_graph import assert_simulates
from onnx import ModelProto, TensorProto
from reference import by_onnxruntime, output

from edsr_int8.machine import saturates
from edsr_int8.quantization.ir.grid import Grid, wide
from edsr_int8.quantization.passes import run
from edsr_int8.quantization.quantize import quantize
from edsr_int8.quantization.recipe import Recipe
from edsr_int8.quantization.simulation.quantsim import Simulation
from edsr_int8.quantization.state import QuantizedNetwork, load, save
from edsr_int8.targets.base import open_target
from edsr_int8.targets.form import Form, save_in_form
from edsr_int8.targets.row import TargetRow

FLOAT = Recipe("int8", "percentile", 100, high_precision_layers=("*.add", "tail"))
WIDE = replace(FLOAT, high_precision_dtype="uint16")
Graphs = Callable[[str], Path]


@pytest.fixture
def photograph(portrait: np.ndarray) -> np.ndarray:
    return portrait[50:82, 30:62]


@pytest.fixture
def states(
    float_graphs: Graphs, portrait: np.ndarray, tmp_path: Path
) -> Callable[[Recipe, str], QuantizedNetwork]:
    return lambda recipe, name: run(recipe, observed(float_graphs(name), tmp_path / name, portrait[:60, :80]))


def constants(model: ModelProto) -> dict[str, int]:
    return {tensor.name: tensor.data_type for tensor in model.graph.initializer}


@given(scale=st.floats(2**-20, 1024, width=32), zero=st.integers(0, 255), code=st.integers(0, 255))
def test_every_value_of_8_bits_is_one_of_16(scale: float, zero: int, code: int) -> None:
    grid = wide(Grid(scale, zero))
    steps = scale * (code - zero) / grid.scale + grid.zero_point
    assert steps == int(steps) and 0 <= steps <= 65535
    assert (65535 - grid.zero_point) * grid.scale >= 1.99 * scale * (255 - zero)


@pytest.mark.parametrize("name", ["x1", "x4"])
def test_chosen_layers_read_and_write_16_bits_and_keep_int8_weights(
    states: Callable[[Recipe, str], QuantizedNetwork], tmp_path: Path, name: str
) -> None:
    quantize(states(WIDE, name), WIDE, tmp_path)
    model = onnx.load(tmp_path / "model.onnx")
    onnx.checker.check_model(model, full_check=True)
    kinds, makers = constants(model), {node.output[0]: node for node in model.graph.node}
    readers = {source: node for node in model.graph.node for source in node.input}
    for node in model.graph.node:
        if node.op_type == "Conv":
            high = node.name == "tail"
            wanted = TensorProto.UINT16 if high else TensorProto.UINT8
            assert kinds[makers[node.input[0]].input[2]] == kinds[readers[node.output[0]].input[2]] == wanted
            assert kinds[makers[node.input[1]].input[0]] == TensorProto.INT8
    assert {e.key: e.value for e in model.metadata_props}["high_precision_dtype"] == "uint16"


@pytest.mark.parametrize("name", ["x1", "x4"])
def test_16_bits_are_nearly_float_and_the_simulation_knows_them(
    states: Callable[[Recipe, str], QuantizedNetwork], photograph: np.ndarray, tmp_path: Path, name: str
) -> None:
    errors = {}
    for recipe in (FLOAT, WIDE):
        state = states(recipe, name)
        folder = tmp_path / recipe.high_precision_dtype
        quantize(state, recipe, folder)
        found = by_onnxruntime(folder / "model.onnx", photograph)
        assert_simulates(Simulation(state), found, photograph)
        wanted = np.clip(output(state.network, photograph), 0, 255)
        errors[recipe.high_precision_dtype] = np.square(found - wanted).mean()
    assert errors["uint16"] == pytest.approx(errors["float32"], rel=0.25)


def test_older_opsets_write_16_bits_as_onnxruntimes_own(
    states: Callable[[Recipe, str], QuantizedNetwork], photograph: np.ndarray, tmp_path: Path
) -> None:
    quantize(states(WIDE, "x4"), WIDE, tmp_path)
    shipped = by_onnxruntime(tmp_path / "model.onnx", photograph)
    for form in (Form(17), Form(17, shape=photograph.shape[:2]), Form(21)):
        save_in_form(tmp_path / "model.onnx", form, tmp_path / "written.onnx")
        written = onnx.load(tmp_path / "written.onnx")
        assert {e.domain for e in written.opset_import} == (
            {""} if form.opset == 21 else {"", "com.microsoft"}
        )
        assert np.array_equal(by_onnxruntime(tmp_path / "written.onnx", photograph), shipped)


def test_the_state_keeps_what_is_16_bits_wide(
    states: Callable[[Recipe, str], QuantizedNetwork], tmp_path: Path
) -> None:
    state = states(WIDE, "x1")
    save(tmp_path / "state", state)
    again = load(tmp_path / "state", weights_sha256=state.network.weights_sha256)
    assert again.wide == state.wide and not again.in_float and "tail" in again.wide


@pytest.mark.parametrize("name", ["x1", "x4"])
def test_openvino_keeps_the_relu_that_is_a_saturation_of_16_bits(
    states: Callable[[Recipe, str], QuantizedNetwork], photograph: np.ndarray, tmp_path: Path, name: str
) -> None:
    pytest.importorskip("openvino")
    if saturates():
        pytest.skip("OpenVINO's int8 sums overflow on this CPU")
    recipe = replace(WIDE, high_precision_layers=("body.*",))
    quantize(states(recipe, name), recipe, tmp_path)
    image = np.ascontiguousarray(photograph.transpose(2, 0, 1)[None])
    theirs = open_target(TargetRow("openvino")).load(tmp_path / "model.onnx")(image)
    wanted = by_onnxruntime(tmp_path / "model.onnx", photograph)
    assert np.square(theirs.astype(float) - wanted).mean() < 5  # without the Clip: 50 and 7,900
