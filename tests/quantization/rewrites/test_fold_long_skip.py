"""The long skip led around the trunk: exact in float, exact codes in int8, and less loss."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from reference import nchw, output

from edsr_int8.data.images import write_png
from edsr_int8.errors import InputError
from edsr_int8.files import read_json
from edsr_int8.onnx_session import session_options
from edsr_int8.quantization import state as tuned
from edsr_int8.quantization.algorithms.gptq import gptq, round_network
from edsr_int8.quantization.analysis.mixed_precision import conv_macs, floats_of, rounded, within_budget
from edsr_int8.quantization.calibration.histogram import Histogram
from edsr_int8.quantization.calibration.observe import observe, observe_network
from edsr_int8.quantization.calibration.quantization_parameters import (
    calibrated_grids,
    choose_grids,
    shared_grids,
    swept_grids,
)
from edsr_int8.quantization.calibration.range_estimators import Grid
from edsr_int8.quantization.ir.float_onnx import float_model
from edsr_int8.quantization.ir.layers import IMAGE, Conv, Join, Network, Sum, Taps, measured, read_network
from edsr_int8.quantization.ir.qdq_onnx import qdq_model
from edsr_int8.quantization.passes import prepare
from edsr_int8.quantization.quantize import all_grids, quantize
from edsr_int8.quantization.recipe import MODEL_CARD, Preparation, Recipe, Tuning
from edsr_int8.quantization.rewrites.channel_transform import change_basis, linear_bases
from edsr_int8.quantization.rewrites.fold import fold
from edsr_int8.quantization.rewrites.fold_long_skip import (
    JOIN,
    MOST_BELOW,
    TAPS,
    bypass_trunk,
    joined,
    long_skip,
    regrid,
)
from edsr_int8.quantization.simulation.quantsim import Simulation
from edsr_int8.targets.base import open_target
from edsr_int8.targets.row import TargetRow

Networks = Callable[[str], Network]
Grids = Callable[[str], dict[str, Grid]]
Graphs = Callable[[str], Path]
WITH_SKIP = ["x1", "x4", "direct", "six"]
SOME_GRID = Grid(0.7, 131)


def bypassed(network: Network, grid: Grid) -> Network:
    around = bypass_trunk(network)
    name = joined(around)
    assert name
    return regrid(around, {name: grid})


@pytest.mark.parametrize("name", WITH_SKIP)
@pytest.mark.parametrize("shape", [(16, 13), (3, 2), (1, 1)])
def test_the_output_stays(
    networks: Networks, portrait: np.ndarray, name: str, shape: tuple[int, int]
) -> None:
    """Borders included: an image of one pixel is nothing else."""
    network, image = networks(name), portrait[60 : 60 + shape[0], 40 : 40 + shape[1]]
    before, after = output(network, image), output(bypass_trunk(network), image)
    assert before.shape == after.shape and np.abs(before - after).max() < 1e-9
    assert np.abs(before - output(bypassed(network, SOME_GRID), image)).max() < 1e-9


@pytest.mark.parametrize("name", ["r8f64", "mobile"])
def test_the_output_stays_in_a_real_network(real_graphs: Graphs, portrait: np.ndarray, name: str) -> None:
    network, image = fold(read_network(real_graphs(name))), portrait[60:72, 40:49]
    around = bypassed(network, SOME_GRID)
    assert np.abs(output(network, image) - output(around, image)).max() < 1e-9
    models = (float_model(x.layers, [IMAGE], [x.layers[-1].name]) for x in (network, around))
    before, after = (
        ort.InferenceSession(model.SerializeToString()).run(None, {IMAGE: nchw(portrait, np.float32)})[0]
        for model in models
    )
    assert np.abs(before - after).max() < 1e-3


@pytest.mark.parametrize("name", WITH_SKIP)
def test_what_goes_and_what_comes(networks: Networks, name: str) -> None:
    network = networks(name)
    around = bypass_trunk(network)
    sums, left = (sum(isinstance(x, Sum) for x in each.layers) for each in (network, around))
    assert left == sums - 1
    taps = [x for x in around.layers if isinstance(x, Taps)]
    assert [len(x.taps) for x in taps] == [28 if name == "direct" else 36]  # without a mean, one of the plane
    assert shared_grids(network) and not shared_grids(around)
    assert bypass_trunk(around) is around


def test_a_skip_that_is_no_convolution_of_the_image_stays(networks: Networks) -> None:
    network = networks("mdsr")
    assert long_skip(network) is None and bypass_trunk(network) is network
    assert regrid(network, {}) is network


def test_a_sum_with_a_second_reader_stays(networks: Networks) -> None:
    network = networks("x1")
    last = network.layers[-1]
    assert isinstance(last, Conv)
    extra = [replace(last, name="extra"), Sum("both", (last.name, "extra"))]
    assert long_skip(replace(network, layers=(*network.layers, *extra))) is None


@pytest.mark.parametrize("name", WITH_SKIP)
def test_another_basis_of_the_trunk_is_exact(networks: Networks, portrait: np.ndarray, name: str) -> None:
    network = bypassed(networks(name), SOME_GRID)
    random = np.random.default_rng(0)
    before = output(network, portrait[60:70, 40:49])
    bases = linear_bases(network)
    assert {joined(network)} in bases and not any({TAPS, JOIN} & basis for basis in bases)
    for basis in bases:
        count = len(next(x for x in network.layers if isinstance(x, Conv) and x.name in basis).bias)
        if "upsample.0" not in basis and "upsample.1" not in basis:
            network = change_basis(network, basis, random.normal(size=(count, count)))
    assert np.abs(before - output(network, portrait[60:70, 40:49])).max() < 1e-9


def test_a_grid_without_room_above_zero_is_refused(networks: Networks) -> None:
    with pytest.raises(ValueError, match="no code for the plane"):
        bypassed(networks("x1"), Grid(1.0, 255))


def test_a_trunk_that_only_takes_away_gets_room_above_zero(networks: Networks, portrait: np.ndarray) -> None:
    around = bypass_trunk(networks("x1"))
    negative = Histogram(np.zeros(65536, np.int64), -9.0, 0.0)
    negative.counts[np.array([-9.0], np.float32).view(np.uint16)[1]] = 5
    found = choose_grids(around, dict.fromkeys(measured(around), negative), MODEL_CARD)
    assert found["head"].zero_point == 255 and found["body_end"].zero_point < 200
    image = portrait[60:70, 40:49]
    assert np.abs(output(around, image) - output(regrid(around, found), image)).max() < 1e-9


def test_a_sweep_leaves_the_joint_grid_alone(
    float_graphs: Graphs, networks: Networks, portrait: np.ndarray, tmp_path: Path
) -> None:
    write_png(tmp_path / "i.png", portrait)
    observe(float_graphs("x1"), [tmp_path / "i.png"], tmp_path / "h.npz", threads=1)
    around, ranges = bypass_trunk(networks("x1")), (Recipe("int8", "percentile", 90.0), MODEL_CARD)
    narrow, card = (swept_grids(around, tmp_path / "h.npz", each) for each in ranges)
    assert narrow["body_end"] == card["body_end"] and narrow["head"] != card["head"]
    assert calibrated_grids(around, tmp_path / "h.npz", ranges[0])["body_end"] != card["body_end"]


@torch.no_grad()
def assert_close(simulation: Simulation, built: np.ndarray, image: np.ndarray) -> None:
    """Next to the loss the two hardly differ: float32 sums let a tie fall the other way here and there."""
    pixels = torch.from_numpy(image).float()
    found = simulation(pixels).round().numpy()
    exact = Simulation(simulation.network, {})(pixels, exact=True).numpy()
    loss = np.square(built - exact).mean()
    assert np.square(found - exact).mean() == pytest.approx(loss, rel=0.1)
    assert np.square(found - built.astype(float)).mean() < 0.25 * loss


def int8_model(network: Network, grids: dict[str, Grid]) -> onnx.ModelProto:
    own = {name: grids[name] for name in measured(network)}
    return qdq_model(network, all_grids(network, own), {})


@torch.no_grad()
@pytest.mark.parametrize("name", WITH_SKIP)
def test_simulation_graph_and_exact_integers_agree(
    networks: Networks, grids: Grids, portrait: np.ndarray, tmp_path: Path, name: str
) -> None:
    around = bypass_trunk(networks(name))
    found = {n: grids(name)[n] for n in measured(around)}
    around = regrid(around, found)
    onnx.save(int8_model(around, found), tmp_path / "m.onnx")
    image = nchw(portrait[80:120, 40:90], np.uint8)
    ours = open_target(TargetRow("integer", 1, 4096)).load(tmp_path / "m.onnx")(image)
    theirs = open_target(TargetRow("onnxruntime", 1, 4096)).load(tmp_path / "m.onnx")(image)
    np.testing.assert_array_equal(ours, theirs)
    assert_close(Simulation(around, found), ours, image)


def test_taps_are_the_images_own_codes(networks: Networks, grids: Grids, portrait: np.ndarray) -> None:
    around = bypass_trunk(networks("x1"))
    model = int8_model(regrid(around, grids("x1")), grids("x1"))
    model.graph.output.append(onnx.helper.make_tensor_value_info(TAPS, onnx.TensorProto.UINT8, None))
    image = nchw(portrait[80:90, 40:49], np.uint8)
    codes = ort.InferenceSession(model.SerializeToString(), session_options()).run([TAPS], {IMAGE: image})[0][
        0
    ]
    padded = np.pad(np.concatenate([image[0], np.full_like(image[0, :1], 255)]), ((0, 0), (1, 1), (1, 1)))
    (taps,) = (x for x in around.layers if isinstance(x, Taps))
    for found, (channel, row, column) in zip(codes, taps.taps, strict=True):
        np.testing.assert_array_equal(found, padded[channel, row : row + 10, column : column + 9])


def test_tensors_in_the_graph_are_uint8(networks: Networks, grids: Grids) -> None:
    around = bypass_trunk(networks("x4"))
    model = int8_model(regrid(around, grids("x4")), grids("x4"))
    joins = [node for node in model.graph.node if node.op_type == "Concat"]
    makers = {node.output[0]: node.op_type for node in model.graph.node}
    assert [[makers[name] for name in node.input] for node in joins] == [["QuantizeLinear"] * 2]


@pytest.mark.parametrize("name", WITH_SKIP)
def test_onnxruntime_runs_nothing_in_float(
    networks: Networks, grids: Grids, tmp_path: Path, name: str
) -> None:
    model = int8_model(regrid(bypass_trunk(networks(name)), grids(name)), grids(name))
    settings = session_options(threads=1)
    settings.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    ort.InferenceSession(model.SerializeToString(), settings)
    executed = {node.op_type for node in onnx.load(tmp_path / "optimized.onnx").graph.node}
    assert executed <= {"QLinearConv", "QLinearAdd", "DepthToSpace", "Pad", "Transpose", "Concat"}


def test_rounded_weights_serve_rows_with_and_without(
    float_graphs: Graphs, tmp_path: Path, portrait: np.ndarray
) -> None:
    write_png(tmp_path / "images/i.png", portrait)
    images, graph, histograms = [tmp_path / "images/i.png"], float_graphs("x1"), tmp_path / "h.npz"
    observe(graph, images, histograms, threads=1)
    round_network(graph, histograms, images, tmp_path / "w.npz")
    network = fold(read_network(graph))
    around = bypass_trunk(network)
    plain, joint = (tuned.load_weights(tmp_path / "w.npz", x) for x in (network, around))
    for before, after in ((network, plain), (around, joint)):
        for x, y in zip(before.layers, after.layers, strict=True):
            if isinstance(x, Conv):
                assert isinstance(y, Conv) and x.weight.shape == y.weight.shape
                assert (x.weight != y.weight).any()
    for percentile in (99.0, 99.999):
        ranges = Recipe("int8", "percentile", percentile)
        quantize(graph, histograms, tmp_path, ranges=ranges, bypass=True, rounded=tmp_path / "w.npz")
        built = {
            t.name: onnx.numpy_helper.to_array(t)
            for t in onnx.load(tmp_path / "model.onnx").graph.initializer
        }
        for conv in (x for x in joint.layers if isinstance(x, Conv)):  # on their grids at every percentile
            scales = built[f"{conv.name}.weight.scale"].reshape(-1, 1, 1, 1)
            np.testing.assert_allclose(built[f"{conv.name}.weight"] * scales, conv.weight, atol=1e-6)
    assert "body_end.add" not in read_json(tmp_path / "ranges.json")


@torch.no_grad()
def test_the_picture_is_nearer(real_graphs: Graphs, portrait: np.ndarray, tmp_path: Path) -> None:
    write_png(tmp_path / "i.png", portrait)
    network = fold(read_network(real_graphs("mobile")))
    seen = observe_network(network, measured(network), [tmp_path / "i.png"])
    image = torch.from_numpy(nchw(portrait[:96, :96], np.float32))
    wanted = Simulation(network, {})(image, exact=True)
    crops = torch.from_numpy(nchw(portrait[100:148, 20:68], np.uint8))

    def error(each: Network) -> float:
        grids = choose_grids(each, {name: seen[name] for name in measured(each)}, MODEL_CARD)
        each = gptq(regrid(each, grids), crops)
        return float((Simulation(each, grids)(image) - wanted).square().mean())

    assert error(bypass_trunk(network)) < 0.7 * error(network)


@pytest.mark.parametrize("rounds_last", [True, False])
def test_learned_and_saved_and_built(
    float_graphs: Graphs, tmp_path: Path, portrait: np.ndarray, rounds_last: bool
) -> None:
    """The graph is that of the simulation; the joint grid moves only while weights are not rounded."""
    write_png(tmp_path / "images/i.png", portrait)
    images, graph, histograms = [tmp_path / "images/i.png"], float_graphs("x4"), tmp_path / "h.npz"
    observe(graph, images, histograms, threads=1)
    options = Preparation(
        Recipe("int8", "search"),
        bypass=True,
        gptq=rounds_last,
        tuning=Tuning(steps=4, batch=2, crops=8, patch=16),
    )
    prepare(graph, histograms, images, tmp_path / "tune", options)
    started = calibrated_grids(bypass_trunk(fold(read_network(graph))), histograms, Recipe("int8", "search"))
    network, grids, floats = tuned.load(tmp_path / "tune", fold(read_network(graph)), bypass=True)
    moved = {name for name in started if grids[name].scale != pytest.approx(started[name].scale, rel=1e-4)}
    assert "head" in moved and (rounds_last or "body_end" not in moved)  # weights are rounded on that grid
    taps = next(x for x in network.layers if isinstance(x, Taps))
    assert Grid(taps.scale, taps.zero_point) == grids["body_end"]
    assert not floats
    quantize(graph, histograms, tmp_path / "int8", bypass=True, prepared=tmp_path / "tune")
    image = nchw(portrait[80:120, 40:90], np.uint8)
    built = open_target(TargetRow("onnxruntime", 1, 4096)).load(tmp_path / "int8/model.onnx")(image)
    assert_close(Simulation(network, grids), built, image)


@torch.no_grad()
@pytest.mark.parametrize("name", WITH_SKIP)
def test_the_joint_grid_may_move(networks: Networks, grids: Grids, portrait: np.ndarray, name: str) -> None:
    """What is learned on another grid is what is built on it, and the plane keeps its room."""
    around = regrid(bypass_trunk(networks(name)), grids(name))
    simulation = Simulation(around, {each: grids(name)[each] for each in measured(around)})
    simulation.layers = frozenset()
    joint = joined(around)
    assert joint
    simulation.log_scales[joint] += 0.3
    simulation.zero_points[joint] += 255
    network, moved = simulation.result()
    assert moved[joint].zero_point == MOST_BELOW and moved[joint].scale > grids(name)[joint].scale
    part = portrait[60:76, 40:53]
    assert np.abs(output(network, part) - output(networks(name), part)).max() < 1e-3  # still that network
    built = Simulation(network, moved)
    built.layers = frozenset()
    image = torch.from_numpy(nchw(part, np.float32))
    assert (simulation(image) - built(image)).abs().max() < 0.01


def test_budget_counts_the_taps(networks: Networks) -> None:
    """x2, six features, one block; for a pixel of the image."""
    around = bypass_trunk(networks("six"))
    macs = conv_macs(around)
    assert macs["image.taps"] == 9 * 4 * 36 and macs["upsample.0"] == 9 * (6 + 36) * 24
    losses = {x.name: 1.0 for x in around.layers if isinstance(x, Conv)}
    chosen = within_budget(around, {}, losses, 1.0)
    assert set(losses) - chosen == {"upsample.0"} and TAPS not in chosen
    # A join is of codes: what only it reads is read rounded, float or not.
    assert rounded(around, chosen)["body_end"] == 1
    assert [x.inputs for x in around.layers if isinstance(x, Join)] == [("body_end", TAPS)]


@pytest.mark.parametrize(("name", "reader"), [("x4", "upsample.0"), ("x1", "tail"), ("direct", "tail")])
def test_a_skip_all_in_float_stays(
    float_graphs: Graphs, portrait: np.ndarray, tmp_path: Path, name: str, reader: str
) -> None:
    """Only then is nothing of it rounded; tune, quantize and the choice of layers agree on that."""
    write_png(tmp_path / "images/i.png", portrait[:64, :64])
    images, graph, histograms = [tmp_path / "images/i.png"], float_graphs(name), tmp_path / "h.npz"
    observe(graph, images, histograms, threads=1)
    options = Preparation(MODEL_CARD, mix=True, bypass=True, gptq=True, tuning=Tuning(crops=8, patch=16))
    for patterns, stays in (
        (["body.0.conv2.add"], False),
        ([reader], False),
        ([reader, "body_end.add"], False),
        ([reader, "body_end.add", "head"], True),
    ):
        floats = floats_of(graph, tmp_path / "none", patterns, 0, bypass=True)
        prepare(graph, histograms, images, tmp_path / "tune", options, floats)
        quantize(graph, histograms, tmp_path / "int8", bypass=True, prepared=tmp_path / "tune")
        names = {node.name for node in onnx.load(tmp_path / "int8/model.onnx").graph.node}
        assert (JOIN in names) != stays and ("body_end.add" in names) == stays


@torch.no_grad()
def test_a_reader_in_float_still_gains(real_graphs: Graphs, portrait: np.ndarray, tmp_path: Path) -> None:
    write_png(tmp_path / "i.png", portrait)
    network = fold(read_network(real_graphs("mobile")))
    seen = observe_network(network, measured(network), [tmp_path / "i.png"])
    image = torch.from_numpy(nchw(portrait[:96, :96], np.float32))
    wanted = Simulation(network, {})(image, exact=True)

    def error(each: Network) -> float:
        grids = choose_grids(each, {name: seen[name] for name in measured(each)}, MODEL_CARD)
        simulation = Simulation(regrid(each, grids), grids, floats=["tail"])
        return float((simulation(image) - wanted).square().mean())

    assert error(bypass_trunk(network, ["tail"])) < 0.7 * error(network)


@pytest.mark.parametrize(("wrote", "reads"), [(False, True), (True, False)])
def test_another_setting_of_bypass_is_refused(
    float_graphs: Graphs, grids: Grids, tmp_path: Path, wrote: bool, reads: bool
) -> None:
    network = fold(read_network(float_graphs("x1")))
    saved = regrid(bypass_trunk(network) if wrote else network, grids("x1"))
    tuned.save(tmp_path, saved, {name: grids("x1")[name] for name in measured(saved)}, [])
    with pytest.raises(InputError, match=r"not what .*tune writes"):
        tuned.load(tmp_path, network, bypass=reads)


def test_terms_on_different_grids_are_refused(networks: Networks, grids: Grids) -> None:
    with pytest.raises(ValueError, match=r"image\.join: its inputs are on different grids"):
        int8_model(bypass_trunk(networks("x1")), grids("x1"))


@torch.no_grad()
def test_in_mixed_precision_a_join_is_still_of_codes(
    networks: Networks, grids: Grids, portrait: np.ndarray
) -> None:
    around = bypass_trunk(networks("x4"))
    found = {n: grids("x4")[n] for n in measured(around)}
    around, floats = regrid(around, found), {"body_end", "tail", "body.0.conv2.add"}
    model, image = qdq_model(around, all_grids(around, found), {}, floats=floats), portrait[80:120, 40:90]
    settings = session_options(threads=1)
    # As written: onnxruntime would leave out the rounding before a join.
    settings.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(model.SerializeToString(), settings)
    built = session.run(None, {IMAGE: nchw(image, np.uint8)})[0]
    assert_close(Simulation(around, found, floats=floats), built, nchw(image, np.uint8))
