"""Passes in their order, from a float graph to the int8 graph that they must lead to."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from int8_build import build, observed
from int8_graph import assert_simulates, int8_graph, simulated
from onnx import numpy_helper
from reference import by_onnxruntime, in_float32, output

from edsr_int8.errors import InputError
from edsr_int8.quantization.algorithms.bias_correction import correct_biases
from edsr_int8.quantization.algorithms.finetune import finetune
from edsr_int8.quantization.algorithms.gptq import round_for_all
from edsr_int8.quantization.algorithms.gptq_weights import load_weights
from edsr_int8.quantization.algorithms.range_search import search_ranges
from edsr_int8.quantization.analysis.losses import write_losses
from edsr_int8.quantization.analysis.sensitivity import measure_losses
from edsr_int8.quantization.ir.grid import Grid
from edsr_int8.quantization.ir.layers import Conv, Taps
from edsr_int8.quantization.passes import Calibration, passes, run
from edsr_int8.quantization.quantize import quantize
from edsr_int8.quantization.recipe import MODEL_CARD, Carriers, Finetune, Recipe, Statistics, Structure
from edsr_int8.quantization.rewrites.fold_long_skip import CONCAT, fold_long_skip
from edsr_int8.quantization.simulation.quantsim import Simulation
from edsr_int8.quantization.state import QuantizedNetwork, load, save

Graphs = Callable[[str], Path]
FORMS = [
    Structure(),
    Structure(True),
    Structure(True, True, Carriers(trunk=2)),
    Structure(True, True, cover_colours=True),
]
REWRITES = {"collapse_tail": True, "fold_long_skip": True, "channel_transform": True, "equalize": True}
SUMS = ("body.*.add", "body_end.add")


def names(recipe: Recipe) -> list[str]:
    return [step.__name__ for step in passes(recipe)]


def test_rewrites_then_ranges_then_corrections_then_learning() -> None:
    everything = replace(
        MODEL_CARD, **REWRITES, ranges="search", gptq=True, bias_correction=True,
        high_precision_budget=0.1, finetune=Finetune(1),
    )  # fmt: skip
    assert names(everything) == [
        "collapse", "choose_high_precision", "fold_skip", "transform_channels", "equalize_channels",
        "calibrate", "carry", "search_ranges", "correct_biases", "learn", "round_weights",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("knobs", "expected"),
    [
        ({}, ["calibrate"]),
        ({"unify_scales": True}, ["calibrate"]),
        ({"high_precision_layers": ("tail",)}, ["choose_high_precision", "calibrate"]),
        ({"fold_long_skip": True, "gptq": True}, ["fold_skip", "calibrate", "carry", "round_weights"]),
        (
            {"fold_head": True, "high_precision_budget": 0.1},
            ["choose_high_precision", "fold_skip", "calibrate"],
        ),
        ({"finetune": Finetune(1)}, ["calibrate", "learn", "widen"]),
        (
            {"finetune": Finetune(1), "high_precision_budget": 0.1},
            ["choose_high_precision", "calibrate", "learn"],
        ),
    ],
)
def test_only_passes_that_are_asked_for_run(knobs: dict[str, Any], expected: list[str]) -> None:
    assert names(replace(MODEL_CARD, **knobs)) == expected


def rounded_by_stage(calibration: Calibration) -> None:
    """What the gptq stage does."""
    c = calibration
    round_for_all(c.float_model, c.histograms, c.images, c.gptq_weights, structures=FORMS)


@pytest.fixture(scope="module", params=["x1", "mdsr"])
def without_images(
    request: pytest.FixtureRequest,
    float_graphs: Graphs,
    portrait: np.ndarray,
    tmp_path_factory: pytest.TempPathFactory,
) -> Calibration:
    """What the stages before left, and no image to run a forward pass on."""
    calibration = observed(float_graphs(request.param), tmp_path_factory.mktemp("stages"), portrait[:40, :40])
    rounded_by_stage(calibration)
    return replace(calibration, images=[])


@pytest.mark.parametrize(
    "knobs",
    [
        {},
        {"ranges": "mse", "percentile": None, "unify_scales": True},
        {"gptq": True},
        {"gptq": True, "fold_long_skip": True},
        {"gptq": True, "fold_long_skip": True, "fold_head": True, "carriers": Carriers(trunk=2)},
        {"gptq": True, "fold_long_skip": True, "fold_head": True, "cover_colours": True},
        {"ranges": "minmax", "percentile": None, "fold_long_skip": True},
        {"high_precision_layers": ("tail",)},
        {"high_precision_layers": ("head",), "fold_head": True},
    ],
)
def test_recipe_that_does_not_learn_from_crops_runs_no_forward_pass(
    without_images: Calibration, portrait: np.ndarray, tmp_path: Path, knobs: dict[str, Any]
) -> None:
    built = build(replace(MODEL_CARD, **knobs), without_images, tmp_path / "int8")
    assert by_onnxruntime(built, portrait[60:80, 40:60]).std() > 5


@pytest.mark.parametrize(
    "knobs",
    [
        {},
        {"gptq": True, "fold_long_skip": True, "fold_head": True, "cover_colours": True},
        {"gptq": True, "scheme": "int8_symmetric"},
        {"ranges": "search"},
        {"collapse_tail": True},
        {"equalize": True, "bias_correction": True},
        {"channel_transform": True, "gptq": True, "finetune": Finetune(1), "cover_colours": True},
        {"high_precision_layers": ("tail",)},
        {"high_precision_budget": 0.5},
        {"high_precision_budget": 0.5, "channel_transform": True, "fold_head": True, "gptq": True},
    ],
)
def test_a_recipe_names_what_its_passes_read(
    float_graphs: Graphs, portrait: np.ndarray, tmp_path: Path, knobs: dict[str, Any]
) -> None:
    """Nothing else starts its stages: what it does not name would leave an old build in place."""
    calibration = observed(float_graphs("x1"), tmp_path, portrait[:40, :40])
    rounded_by_stage(calibration)
    found = measure_losses(calibration.float_model, calibration.histograms, calibration.images)
    write_losses(calibration.losses, found)
    nothing = dict.fromkeys(("gptq_weights", "histograms", "losses"), tmp_path / "nothing") | {"images": []}
    recipe = replace(MODEL_CARD, **knobs)
    unread = {name: value for name, value in nothing.items() if name not in recipe.reads}
    run(recipe, replace(calibration, **unread))
    for name in recipe.reads:
        with pytest.raises(InputError):
            run(recipe, replace(calibration, **{name: nothing[name]}))


def test_a_recipe_that_learns_nothing_waits_for_no_torch() -> None:
    """Which takes seconds to import: a sweep of percentiles would take twice as long."""
    code = "import sys, edsr_int8.quantization.passes; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.parametrize(
    "knobs",
    [
        {"collapse_tail": True},
        {"channel_transform": True},
        {"equalize": True},
        {"ranges": "search"},
        {"bias_correction": True},
        {"finetune": Finetune(1)},
        {"gptq": True, "high_precision_layers": ("tail",)},
    ],
)
def test_recipe_that_learns_is_refused_without_images(
    float_graphs: Graphs, portrait: np.ndarray, tmp_path: Path, knobs: dict[str, Any]
) -> None:
    calibration = replace(observed(float_graphs("x4"), tmp_path, portrait[:9, :9]), images=[])
    with pytest.raises(InputError, match="no calibration images"):
        run(replace(MODEL_CARD, **knobs), calibration)


@pytest.mark.parametrize(
    ("knobs", "refusal"),
    [
        ({}, r"histograms\.npz: not found; run the observe stage first"),
        ({"gptq": True}, r"gptq\.npz: not found; run the gptq stage first"),
        ({"high_precision_budget": 0.1}, r"losses\.csv: .*run the sensitivity stage"),
    ],
)
def test_missing_file_is_refused_with_the_stage_to_run(
    float_graphs: Graphs, portrait: np.ndarray, tmp_path: Path, knobs: dict[str, Any], refusal: str
) -> None:
    calibration = observed(float_graphs("x1"), tmp_path, portrait[:9, :9])
    if not knobs:
        calibration.histograms.unlink()
    with pytest.raises(InputError, match=refusal):
        run(replace(MODEL_CARD, **knobs), calibration)


@pytest.mark.parametrize("name", ["x1", "x4", "direct", "mdsr", "six", "r8f64"])
def test_rewrites_by_statistics_change_nothing(
    request: pytest.FixtureRequest, portrait: np.ndarray, tmp_path: Path, name: str
) -> None:
    graphs: Graphs = request.getfixturevalue("real_graphs" if name == "r8f64" else "float_graphs")
    calibration = observed(graphs(name), tmp_path, portrait[:64, :64])
    before, after = calibration.float_network, run(replace(MODEL_CARD, **REWRITES), calibration).network
    weights = {x.name: x.weight for x in before.layers if isinstance(x, Conv)}
    changed = {x.name for x in after.layers if isinstance(x, Conv) and not equal(x.weight, weights[x.name])}
    assert {"head", "body.0.conv1", "body.0.conv2"} <= changed
    image = portrait[60:72, 40:53]
    assert np.abs(output(before, image) - output(after, image)).max() < 1e-9
    image = portrait[40:104, 30:80]
    assert np.abs(in_float32(before, image) - in_float32(after, image)).max() < 1e-3


def equal(a: np.ndarray, b: np.ndarray) -> bool:
    return a.shape == b.shape and np.allclose(a, b)


def learned_and_built(
    recipe: Recipe, graph: Path, portrait: np.ndarray, folder: Path
) -> tuple[QuantizedNetwork, np.ndarray, np.ndarray]:
    """What the finetune stage saves, an image, and what the int8 graph makes of it."""
    save(folder / "finetune", run(recipe, observed(graph, folder, portrait)))
    loaded = load(folder / "finetune", weights_sha256="0a")
    quantize(loaded, recipe, folder / "int8")
    image = portrait[80:120, 40:90]
    return loaded, image, by_onnxruntime(folder / "int8" / "model.onnx", image)


@pytest.mark.parametrize("gptq", [True, False])
def test_folded_long_skip_is_built_as_it_was_learned(
    float_graphs: Graphs, portrait: np.ndarray, tmp_path: Path, gptq: bool
) -> None:
    """The grid that taps are on moves only while weights are not rounded."""
    recipe = Recipe("int8", "search", fold_long_skip=True, gptq=gptq, finetune=Finetune(steps=4, batch=2))
    state, image, built = learned_and_built(recipe, float_graphs("x4"), portrait, tmp_path)
    start = replace(recipe, ranges="minmax", gptq=False, finetune=Finetune())
    started = run(start, observed(float_graphs("x4"), tmp_path, portrait)).grids
    moved = {n for n in started if state.grids[n].scale != pytest.approx(started[n].scale, rel=1e-4)}
    assert moved and (gptq or "body_end" not in moved)
    (taps,) = (x for x in state.network.layers if isinstance(x, Taps))
    assert Grid(taps.scale, taps.zero_point) == state.grids["body_end"]
    assert not state.high_precision
    assert_simulates(Simulation(state), built, image)


@pytest.mark.parametrize("patterns", [(*SUMS, "upsample.1", "tail"), ("tail",), SUMS])
@pytest.mark.parametrize(
    "knobs",
    [{}, {"channel_transform": True}, {"fold_long_skip": True, "channel_transform": True, "equalize": True}],
)
def test_collapsed_tail_is_built_as_it_was_learned(
    float_graphs: Graphs,
    portrait: np.ndarray,
    tmp_path: Path,
    patterns: tuple[str, ...],
    knobs: dict[str, Any],
) -> None:
    """Whichever of its two convolutions stay in float."""
    recipe = replace(
        MODEL_CARD, **knobs, collapse_tail=True, gptq=True,
        high_precision_layers=patterns, finetune=Finetune(steps=2, batch=2),
    )  # fmt: skip
    state, image, built = learned_and_built(recipe, float_graphs("x4"), portrait, tmp_path)
    difference = np.abs(simulated(Simulation(state), image) - built)
    assert difference.max() <= 8 and (difference > 0).mean() < 0.02


@pytest.mark.parametrize(("name", "consumer"), [("x4", "upsample.0"), ("x1", "tail"), ("direct", "tail")])
def test_long_skip_that_is_all_high_precision_is_built_as_it_is(
    float_graphs: Graphs, portrait: np.ndarray, tmp_path: Path, name: str, consumer: str
) -> None:
    calibration = observed(float_graphs(name), tmp_path, portrait[:64, :64])
    for patterns, stays in (
        (("body.0.conv2.add",), False),
        ((consumer,), False),
        ((consumer, "body_end.add"), False),
        ((consumer, "body_end.add", "head"), True),
    ):
        recipe = replace(
            MODEL_CARD, channel_transform=True, fold_long_skip=True, gptq=True, high_precision_layers=patterns
        )
        graph = onnx.load(build(recipe, calibration, tmp_path / "int8")).graph
        found = {node.name for node in graph.node}
        assert (CONCAT in found) != stays and ("body_end.add" in found) == stays


@pytest.mark.parametrize("kind", ["small", "constant", "black"])
@pytest.mark.parametrize("fold_skip", [False, True])
@pytest.mark.parametrize("ranges", ["percentile", "search"])
def test_images_at_the_edge_are_learned_from_and_built(
    float_graphs: Graphs, portrait: np.ndarray, tmp_path: Path, kind: str, ranges: str, fold_skip: bool
) -> None:
    grey = np.full((40, 40, 3), 114, np.uint8)
    image = {"small": portrait[:5, :9], "constant": grey, "black": 0 * grey}[kind]
    recipe = Recipe(
        "int8", ranges, 99.999, channel_transform=True, equalize=True, unify_scales=True, gptq=True,
        bias_correction=True, fold_long_skip=fold_skip, finetune=Finetune(steps=3, batch=2),
    )  # fmt: skip
    calibration = observed(float_graphs("x1"), tmp_path, image, statistics=Statistics(crops=1, patch=32))
    state = run(recipe, calibration)
    assert state.curve[0].step == 0 and state.curve[0].training_mse is None
    assert all(np.isfinite(x.weight).all() for x in state.network.layers if isinstance(x, Conv))
    quantize(state, recipe, tmp_path / "int8")
    assert by_onnxruntime(tmp_path / "int8" / "model.onnx", portrait[:9, :9]).shape == (1, 3, 9, 9)


def test_weights_that_learned_unrounded_end_rounded(
    float_graphs: Graphs, portrait: np.ndarray, tmp_path: Path
) -> None:
    """But layers in float stay as they learned; and the curve ends with what rounding cost."""
    recipe = replace(
        MODEL_CARD, channel_transform=True, gptq=True,
        high_precision_layers=("tail",), finetune=Finetune(steps=2, batch=2),
    )  # fmt: skip
    state = run(recipe, observed(float_graphs("x1"), tmp_path, portrait))
    on_grids = {
        conv.name: np.allclose(codes, np.rint(codes), atol=1e-3)
        for conv in state.network.layers
        if isinstance(conv, Conv)
        for codes in [conv.weight / np.abs(conv.weight).max(axis=(1, 2, 3), keepdims=True) * 127]
    }
    assert on_grids == {name: name != "tail" for name in on_grids}
    learned, rounded = state.curve[-2:]
    assert learned.step == rounded.step == 2
    assert learned.training_mse is not None and rounded.training_mse is None


@pytest.mark.parametrize("fold_skip", [True, False])
def test_weights_of_the_gptq_stage_serve_every_percentile(
    float_graphs: Graphs, portrait: np.ndarray, tmp_path: Path, fold_skip: bool
) -> None:
    """Rounding to the nearest, as the graph does, leaves them as they are."""
    calibration = observed(float_graphs("x1"), tmp_path, portrait)
    rounded_by_stage(calibration)
    network = calibration.float_network
    form, label = fold_long_skip(network) if fold_skip else network, Structure(fold_skip).label
    rounded = load_weights(calibration.gptq_weights, form, label)
    for percentile in (99.0, 99.999):
        recipe = Recipe(
            "int8", "percentile", percentile, fold_long_skip=fold_skip, unify_scales=True, gptq=True
        )
        model = onnx.load(build(recipe, calibration, tmp_path / "int8"))
        built = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
        for conv in (x for x in rounded.layers if isinstance(x, Conv)):
            scales = built[f"{conv.name}.weight.scale"].reshape(-1, 1, 1, 1)
            np.testing.assert_allclose(built[f"{conv.name}.weight"] * scales, conv.weight, atol=1e-6)
        ranges = json.loads((tmp_path / "int8" / "ranges.json").read_text())
        assert ("body_end.add" in ranges) != fold_skip
        unified = [ranges[name] == ranges.get("body_end.add") for name in ("head", "body_end")]
        assert unified == [not fold_skip] * 2


def test_passes_leave_the_state_that_they_take_as_it_was(
    float_graphs: Graphs, portrait: np.ndarray, tmp_path: Path
) -> None:
    calibration = observed(float_graphs("x1"), tmp_path, portrait)
    state, crops, recipe = run(MODEL_CARD, calibration), calibration.crops, Recipe("int8", "search")
    save(tmp_path / "before", state)
    results = [
        correct_biases(state, recipe, crops),
        search_ranges(state, calibration.float_network, recipe, crops),
        finetune(state, calibration.float_network, replace(recipe, finetune=Finetune(16, 4)), crops),
    ]
    save(tmp_path / "after", state)
    for name in ("network.json", "arrays.npz"):
        assert (tmp_path / "before" / name).read_bytes() == (tmp_path / "after" / name).read_bytes()
    graphs = {int8_graph(each).SerializeToString() for each in (state, *results)}
    assert len(graphs) >= 3  # they did something; finetuning may end where it began
