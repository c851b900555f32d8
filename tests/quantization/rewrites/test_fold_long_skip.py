"""The long skip led around the trunk: exact in float, exact codes in int8, and less loss."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from int8_build import observed
from int8_graph import assert_alike_everywhere, assert_simulates, int8_graph
from reference import in_float32, nchw, output

from edsr_int8.onnx_session import session_options
from edsr_int8.quantization.algorithms.gptq import gptq
from edsr_int8.quantization.calibration.quantization_parameters import choose_grids, load_histograms
from edsr_int8.quantization.ir.grid import Grid
from edsr_int8.quantization.ir.layers import IMAGE, Add, Conv, Network, Taps
from edsr_int8.quantization.ir.read_onnx import read_network
from edsr_int8.quantization.ir.scale_groups import calibrated
from edsr_int8.quantization.recipe import MODEL_CARD
from edsr_int8.quantization.rewrites.fold import fold
from edsr_int8.quantization.rewrites.fold_long_skip import TAPS, fold_long_skip, long_skip, on_grids
from edsr_int8.quantization.simulation.objective import with_float_outputs
from edsr_int8.quantization.simulation.quantsim import TENSORS, Simulation
from edsr_int8.quantization.state import QuantizedNetwork

Networks = Callable[[str], Network]
States = Callable[[str], QuantizedNetwork]
Graphs = Callable[[str], Path]
WITH_SKIP = ["x1", "x4", "direct", "six"]
TRUNK = "body_end"  # the tensor that the taps are concatenated with
SOME_GRID = Grid(0.7, 131)


def folded(state: QuantizedNetwork, *high_precision: str) -> QuantizedNetwork:
    """`state` with its long skip folded, on the grids that are left."""
    network = fold_long_skip(state.network, high_precision)
    grids = {name: state.grids[name] for name in calibrated(network)}
    return QuantizedNetwork(network, high_precision=frozenset(high_precision)).on_grids(grids)


@pytest.mark.parametrize("name", WITH_SKIP)
@pytest.mark.parametrize("shape", [(16, 13), (3, 2), (1, 1)])
def test_output_stays(networks: Networks, portrait: np.ndarray, name: str, shape: tuple[int, int]) -> None:
    """On the image's grid and on another; borders included: an image of one pixel is nothing else."""
    network, image = networks(name), portrait[60 : 60 + shape[0], 40 : 40 + shape[1]]
    around = fold_long_skip(network)
    before, after = output(network, image), output(around, image)
    assert before.shape == after.shape and np.abs(before - after).max() < 1e-9
    assert np.abs(before - output(on_grids(around, {TRUNK: SOME_GRID}), image)).max() < 1e-9


@pytest.mark.parametrize("name", ["r8f64", "mobile"])
def test_output_of_a_real_network_stays(real_graphs: Graphs, portrait: np.ndarray, name: str) -> None:
    network, image = fold(read_network(real_graphs(name))), portrait[60:72, 40:49]
    around = on_grids(fold_long_skip(network), {TRUNK: SOME_GRID})
    assert np.abs(output(network, image) - output(around, image)).max() < 1e-9
    assert np.abs(in_float32(network, portrait) - in_float32(around, portrait)).max() < 1e-3


@pytest.mark.parametrize("name", WITH_SKIP)
def test_taps_take_the_place_of_the_last_sum(networks: Networks, name: str) -> None:
    network = networks(name)
    around = fold_long_skip(network)
    sums, left = (sum(isinstance(x, Add) for x in each.layers) for each in (network, around))
    assert left == sums - 1
    taps = [x for x in around.layers if isinstance(x, Taps)]
    assert [len(x.taps) for x in taps] == [28 if name == "direct" else 36]  # without a mean, one of the plane
    assert fold_long_skip(around) is around


def test_skip_that_is_no_convolution_of_the_image_stays(networks: Networks) -> None:
    network = networks("mdsr")
    assert long_skip(network) is None and fold_long_skip(network) is network
    assert on_grids(network, {}) is network


def test_sum_with_a_second_consumer_stays(networks: Networks) -> None:
    network = networks("x1")
    last = network.layers[-1]
    assert isinstance(last, Conv)
    extra = [replace(last, name="extra"), Add("both", (last.name, "extra"))]
    assert long_skip(replace(network, layers=(*network.layers, *extra))) is None


@pytest.mark.parametrize(("name", "consumer"), [("x4", "upsample.0"), ("x1", "tail"), ("direct", "tail")])
def test_skip_that_is_all_high_precision_stays(networks: Networks, name: str, consumer: str) -> None:
    """Only then is nothing of it rounded."""
    network = networks(name)
    skip = [consumer, "body_end.add", "head"]
    assert fold_long_skip(network, skip) is network
    for some in (skip[:1], skip[:2], skip[1:], ["body.0.conv2.add"]):
        assert fold_long_skip(network, some) is not network


def test_grid_without_values_above_zero_is_refused(networks: Networks) -> None:
    with pytest.raises(ValueError, match="no code for the plane"):
        on_grids(fold_long_skip(networks("x1")), {TRUNK: Grid(1.0, 255)})


def test_taps_on_another_grid_than_their_tensor_are_refused(quantized: States) -> None:
    state = quantized("x1")
    with pytest.raises(ValueError, match=r"image\.taps: taps are on another grid"):
        int8_graph(replace(state, network=fold_long_skip(state.network)))


@pytest.mark.parametrize("name", WITH_SKIP)
def test_simulation_graph_and_exact_integers_give_the_same(
    quantized: States, portrait: np.ndarray, tmp_path: Path, name: str
) -> None:
    state, image = folded(quantized(name)), portrait[80:120, 40:90]
    assert_alike_everywhere(state, image, tmp_path)


def test_taps_are_the_codes_of_the_image(quantized: States, portrait: np.ndarray) -> None:
    state, image = folded(quantized("x1")), nchw(portrait[80:90, 40:49], np.uint8)
    model = int8_graph(state)
    model.graph.output.append(onnx.helper.make_tensor_value_info(TAPS, onnx.TensorProto.UINT8, None))
    session = ort.InferenceSession(model.SerializeToString(), session_options())
    codes = session.run([TAPS], {IMAGE: image})[0][0]
    padded = np.pad(np.concatenate([image[0], np.full_like(image[0, :1], 255)]), ((0, 0), (1, 1), (1, 1)))
    (taps,) = (x for x in state.network.layers if isinstance(x, Taps))
    for found, (channel, row, column) in zip(codes, taps.taps, strict=True):
        np.testing.assert_array_equal(found, padded[channel, row : row + 10, column : column + 9])


def test_concatenated_tensors_are_quantized(quantized: States) -> None:
    model = int8_graph(folded(quantized("x4")))
    concats = [node for node in model.graph.node if node.op_type == "Concat"]
    producers = {node.output[0]: node.op_type for node in model.graph.node}
    assert [[producers[name] for name in node.input] for node in concats] == [["QuantizeLinear"] * 2]


@pytest.mark.parametrize("name", WITH_SKIP)
def test_onnxruntime_runs_nothing_in_float(quantized: States, tmp_path: Path, name: str) -> None:
    settings = session_options(threads=1)
    settings.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    ort.InferenceSession(int8_graph(folded(quantized(name))).SerializeToString(), settings)
    executed = {node.op_type for node in onnx.load(tmp_path / "optimized.onnx").graph.node}
    assert executed <= {"QLinearConv", "QLinearAdd", "DepthToSpace", "Pad", "Transpose", "Concat"}


def test_mixed_graph_concatenates_codes_too(quantized: States, portrait: np.ndarray) -> None:
    state, image = folded(quantized("x4"), "body_end", "tail", "body.0.conv2.add"), portrait[80:120, 40:90]
    settings = session_options(threads=1)
    # As written: onnxruntime would leave out the rounding before a concatenation.
    settings.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(int8_graph(state).SerializeToString(), settings)
    built = session.run(None, {IMAGE: nchw(image, np.uint8)})[0]
    assert_simulates(Simulation(state), built, image)


@torch.no_grad()
@pytest.mark.parametrize("name", WITH_SKIP)
def test_grid_of_the_trunk_may_be_learned(quantized: States, portrait: np.ndarray, name: str) -> None:
    """What is learned on another grid is what is built on it, and the plane keeps its room."""
    state, image = folded(quantized(name)), portrait[60:76, 40:53]
    simulation = Simulation(state)
    simulation.log_scales[TRUNK] += 0.3
    simulation.zero_points[TRUNK] += 255
    moved = simulation.result()
    assert moved.grids[TRUNK].zero_point == 191 and moved.grids[TRUNK].scale > state.grids[TRUNK].scale
    before, after = output(quantized(name).network, image), output(moved.network, image)
    assert np.abs(before - after).max() < 1e-3  # still that network
    pixels = torch.from_numpy(nchw(image, np.float32))
    learned, built = (each(pixels, rounding=TENSORS) for each in (simulation, Simulation(moved)))
    assert (learned - built).abs().max() < 0.01


@pytest.mark.parametrize(("high_precision", "rounded"), [((), True), (("tail",), False)])
def test_output_of_a_real_network_is_nearer(
    real_graphs: Graphs, portrait: np.ndarray, tmp_path: Path, high_precision: tuple[str, ...], rounded: bool
) -> None:
    """With weights by GPTQ, or where the consumer of the skip is high precision."""
    network = fold(read_network(real_graphs("mobile")))
    histograms = load_histograms(observed(real_graphs("mobile"), tmp_path, portrait).histograms, network)
    crops = torch.from_numpy(nchw(portrait[100:148, 20:68], np.uint8))
    images, wanted = with_float_outputs(network, torch.from_numpy(nchw(portrait[:96, :96], np.uint8)))

    def error(each: Network) -> float:
        seen = {name: histograms[name] for name in calibrated(each)}
        grids = choose_grids(each, seen, MODEL_CARD)
        state = QuantizedNetwork(each, high_precision=frozenset(high_precision)).on_grids(grids)
        if rounded:
            state = replace(state, network=gptq(state, crops))
        with torch.no_grad():
            return float((Simulation(state)(images) - wanted).square().mean())

    assert error(fold_long_skip(network, high_precision)) < 0.7 * error(network)
