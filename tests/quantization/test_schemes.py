"""Every scheme from a float graph to pixels: what it promises of its codes, and who computes the same."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from int8_build import build, observed
from int8_graph import assert_simulates
from needs import need_openvino_int8
from onnx import ModelProto, TensorProto, numpy_helper
from reference import nchw, output

from edsr_int8.quantization.ir.layers import ConstantPlane
from edsr_int8.quantization.ir.read_onnx import read_network
from edsr_int8.quantization.passes import run
from edsr_int8.quantization.quantize import quantize
from edsr_int8.quantization.recipe import Finetune, Recipe
from edsr_int8.quantization.rewrites.centre import centre_image
from edsr_int8.quantization.rewrites.collapse_tail import collapse_tail
from edsr_int8.quantization.rewrites.fold import fold
from edsr_int8.quantization.rewrites.fold_long_skip import fold_long_skip
from edsr_int8.quantization.simulation.quantsim import Simulation
from edsr_int8.quantization.state import load, save
from edsr_int8.targets.base import Unavailable, open_target
from edsr_int8.targets.execution.upscale import open_build, require
from edsr_int8.targets.form import Form, save_in_form
from edsr_int8.targets.row import TargetRow

Graphs = Callable[[str], Path]
PLAIN = Recipe("int8", "percentile", 99.99)
SIGNED = ["int8_asymmetric", "int8_symmetric", "int8_power_of_two"]
SYMMETRIC = SIGNED[1:]


def images(model: Path, photograph: np.ndarray, runtime: str, rounding: str = "") -> np.ndarray:
    target = open_target(TargetRow(runtime, threads=1, rounding=rounding))
    return open_build(target, model)(photograph)


@pytest.fixture
def photograph(portrait: np.ndarray) -> np.ndarray:
    return portrait[50:82, 30:62]


@pytest.fixture
def made(float_graphs: Graphs, portrait: np.ndarray, tmp_path: Path) -> Callable[..., Path]:
    """The build of a scheme."""

    def build_of(scheme: str, name: str = "x4", **knobs: object) -> Path:
        calibration = observed(float_graphs(name), tmp_path / name, portrait[:60, :80])
        return build(replace(PLAIN, scheme=scheme, **knobs), calibration, tmp_path / name / scheme)

    return build_of


@pytest.mark.parametrize("name", ["x1", "x4", "direct", "mdsr"])
def test_the_centred_network_is_the_same_borders_included(
    float_graphs: Graphs, portrait: np.ndarray, name: str
) -> None:
    exported = read_network(float_graphs(name))
    centred = centre_image(fold(exported))
    assert centred.centre == 128
    assert [x.value for x in centred.layers if isinstance(x, ConstantPlane)] == [127]
    for network in (centred, fold_long_skip(centred), collapse_tail(centred)):
        for height, width in ((12, 13), (1, 1)):
            image = portrait[60 : 60 + height, 40 : 40 + width]
            assert np.abs(output(exported, image) - output(network, image)).max() < 1e-9


@pytest.mark.parametrize("scheme", SIGNED)
@pytest.mark.parametrize("name", ["x1", "x4", "direct", "mdsr"])
def test_onnxruntime_is_exact_integers(
    made: Callable[..., Path], photograph: np.ndarray, name: str, scheme: str
) -> None:
    model = made(scheme, name, fold_long_skip=True)
    found = images(model, photograph, "onnxruntime")
    assert found.std() > 5
    assert np.array_equal(found, images(model, photograph, "integer"))
    placed = open_target(TargetRow("onnxruntime")).placement(model, height=32, width=32)
    assert placed.float_convolutions == 0 and placed.int8_mac_share == 1


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_asymmetric_int8_is_uint8_byte_for_byte(
    made: Callable[..., Path], photograph: np.ndarray, runtime: str
) -> None:
    if runtime == "openvino":
        need_openvino_int8()
    unsigned, signed = made("uint8_asymmetric"), made("int8_asymmetric")
    assert np.array_equal(images(unsigned, photograph, runtime), images(signed, photograph, runtime))
    exact = [images(model, photograph, "integer", "fixed_point") for model in (unsigned, signed)]
    assert np.array_equal(*exact)


def activations(model: ModelProto) -> list[tuple[np.ndarray, np.ndarray]]:
    """Scale and zero point of every QuantizeLinear."""
    values = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    nodes = [node for node in model.graph.node if node.op_type == "QuantizeLinear"]
    return [(values[node.input[1]], values[node.input[2]]) for node in nodes if node.output[0] != "output"]


@pytest.mark.parametrize("scheme", SYMMETRIC)
def test_a_symmetric_build_has_zero_point_0_everywhere(made: Callable[..., Path], scheme: str) -> None:
    model = onnx.load(made(scheme, fold_long_skip=True))
    found = activations(model)
    assert {zero.dtype for _, zero in found} == {np.dtype(np.int8)}
    assert {int(zero) for _, zero in found} == {0}
    assert [e.type.tensor_type.elem_type for e in (*model.graph.input, *model.graph.output)] == [
        TensorProto.UINT8
    ] * 2
    assert {e.key: e.value for e in model.metadata_props}["scheme"] == scheme


def test_all_scales_of_a_power_of_two_build_are_powers_of_two(made: Callable[..., Path]) -> None:
    model = onnx.load(made("int8_power_of_two", gptq=True, fold_long_skip=True))
    scales = [numpy_helper.to_array(t) for t in model.graph.initializer if t.name.endswith(".scale")]
    logarithms = np.concatenate([np.log2(scale.reshape(-1)) for scale in scales])
    assert len(logarithms) > 50 and np.array_equal(logarithms, np.rint(logarithms))


@pytest.mark.parametrize("scheme", SIGNED)
def test_the_simulation_rounds_as_the_build_does(
    float_graphs: Graphs, portrait: np.ndarray, photograph: np.ndarray, tmp_path: Path, scheme: str
) -> None:
    recipe = replace(PLAIN, scheme=scheme, fold_long_skip=True)
    state = run(recipe, observed(float_graphs("x4"), tmp_path, portrait[:60, :80]))
    quantize(state, recipe, tmp_path / "out")
    found = images(tmp_path / "out/model.onnx", photograph, "onnxruntime")
    assert_simulates(Simulation(state), nchw(found, np.uint8), photograph)


@pytest.mark.parametrize("layers", [("head",), ("tail",), ("*",)])
def test_layers_stay_in_float_beside_signed_ones(
    float_graphs: Graphs,
    portrait: np.ndarray,
    photograph: np.ndarray,
    tmp_path: Path,
    layers: tuple[str, ...],
) -> None:
    recipe = replace(PLAIN, scheme="int8_symmetric", high_precision_layers=layers)
    state = run(recipe, observed(float_graphs("x4"), tmp_path, portrait[:60, :80]))
    quantize(state, recipe, tmp_path / "out")
    found = images(tmp_path / "out/model.onnx", photograph, "onnxruntime")
    assert_simulates(Simulation(state), nchw(found, np.uint8), photograph)


@pytest.mark.parametrize("scheme", SYMMETRIC)
def test_all_passes_know_a_symmetric_scheme(
    float_graphs: Graphs, portrait: np.ndarray, photograph: np.ndarray, tmp_path: Path, scheme: str
) -> None:
    recipe = replace(
        PLAIN, scheme=scheme, ranges="search", percentile=None, fold_long_skip=True, channel_transform=True,
        equalize=True, gptq=True, bias_correction=True, finetune=Finetune(steps=3, batch=2),
    )  # fmt: skip
    calibration = observed(float_graphs("x1"), tmp_path, portrait[:60, :80])
    state = run(recipe, calibration)
    save(tmp_path / "state", state)
    again = load(tmp_path / "state", weights_sha256=state.network.weights_sha256)
    assert (again.scheme, again.network.centre, again.grids) == (scheme, 128, state.grids)
    quantize(again, recipe, tmp_path / "out")
    found = images(tmp_path / "out/model.onnx", photograph, "onnxruntime").astype(float)
    wanted = output(calibration.float_network, photograph)[0].transpose(1, 2, 0)
    assert np.sqrt(np.square(found - np.clip(wanted, 0, 255)).mean()) < 8
    assert {int(zero) for _, zero in activations(onnx.load(tmp_path / "out/model.onnx"))} == {0}


@pytest.mark.parametrize("scheme", SIGNED)
def test_a_form_changes_no_code(
    made: Callable[..., Path], photograph: np.ndarray, tmp_path: Path, scheme: str
) -> None:
    model = made(scheme, "x4", fold_long_skip=True)
    save_in_form(model, Form(17), tmp_path / "npu.onnx")
    save_in_form(model, Form(18, unsigned=False, fused_relu=True), tmp_path / "signed.onnx")
    npu, signed = (onnx.load(tmp_path / name) for name in ("npu.onnx", "signed.onnx"))
    assert {zero.dtype for _, zero in activations(npu)} == {np.dtype(np.uint8)}
    for graph, before in ((npu.graph, "DequantizeLinear"), (signed.graph, "Conv")):
        makers = {node.output[0]: node.op_type for node in graph.node}
        assert {makers[node.input[0]] for node in graph.node if node.op_type == "Relu"} <= {before}
    shipped = images(model, photograph, "integer", "fixed_point")
    for name in ("npu.onnx", "signed.onnx"):
        assert np.array_equal(images(tmp_path / name, photograph, "integer", "fixed_point"), shipped)


def test_tensorrt_refuses_what_it_would_misread() -> None:
    tensorrt = open_target(TargetRow("tensorrt"))
    require(tensorrt, "int8", "int8_symmetric")
    with pytest.raises(
        Unavailable, match=r"tensorrt would misread .* uint8_asymmetric; it takes scheme: int8_p"
    ):
        require(tensorrt, "int8", "uint8_asymmetric")


@pytest.mark.parametrize("scheme", ["uint8_asymmetric", *SIGNED])
def test_litert_computes_every_scheme_as_exact_integers_by_its_rule(
    made: Callable[..., Path], photograph: np.ndarray, scheme: str
) -> None:
    pytest.importorskip("ai_edge_litert", reason="needs the extra litert")
    model = made(scheme, "direct", fold_long_skip=True)
    target = open_target(TargetRow("litert", threads=1, provider="reference"))
    assert np.array_equal(
        open_build(target, model)(photograph), images(model, photograph, "integer", "tflite")
    )


@pytest.mark.parametrize("scheme", SYMMETRIC)
def test_the_htp_takes_a_symmetric_build_whole(made: Callable[..., Path], scheme: str) -> None:
    pytest.importorskip("onnxruntime_qnn", reason="needs the extra qnn")
    model = made(scheme, "direct", fold_long_skip=True)
    found = open_target(TargetRow("qnn", tile=(24, 24))).placement(model, height=24, width=24)
    assert (found.float_convolutions, found.partitions, found.cpu_nodes) == (0, 1, 0)
