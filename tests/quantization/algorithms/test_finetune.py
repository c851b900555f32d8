"""Correction and learning: what they must never do, whatever they learn."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
import torch

from edsr_int8.data.images import write_png
from edsr_int8.errors import InputError
from edsr_int8.quantization.algorithms.bias_correction import correct_biases
from edsr_int8.quantization.algorithms.finetune import error, geometric_error, targets, tune
from edsr_int8.quantization.algorithms.range_search import search_ranges
from edsr_int8.quantization.calibration.range_estimators import Grid
from edsr_int8.quantization.ir.layers import Network
from edsr_int8.quantization.passes import prepare
from edsr_int8.quantization.quantize import quantize
from edsr_int8.quantization.recipe import MODEL_CARD, Preparation, Tuning
from edsr_int8.quantization.simulation.crops import Crops
from edsr_int8.quantization.simulation.quantsim import Simulation

Networks = Callable[[str], Network]
Grids = Callable[[str], dict[str, Grid]]
BUDGET = Tuning(steps=3, batch=2, crops=8)
ALL = Preparation(MODEL_CARD, mix=True, even=True, share=True, gptq=True, bias_correction=True, tuning=BUDGET)


def test_corrected_biases_leave_the_target_alone(
    networks: Networks, grids: Grids, crops: torch.Tensor
) -> None:
    simulation = Simulation(networks("x1"), grids("x1"))
    before = targets(simulation, crops)[1]
    correct_biases(simulation, crops)
    assert torch.equal(targets(simulation, crops)[1], before)


@torch.no_grad()
def test_corrected_means_are_the_float_ones(networks: Networks, grids: Grids, crops: torch.Tensor) -> None:
    simulation, means = Simulation(networks("x1"), grids("x1")), {}
    name = "head"  # linear, and no Relu in front: there the correction is exact

    def mean(of: str, value: torch.Tensor) -> torch.Tensor:
        means[of] = value.mean(dim=(0, 2, 3))
        return value

    simulation(crops.float(), exact=True, see=mean)
    wanted = means[name]
    correct_biases(simulation, crops)
    simulation(crops.float(), see=mean)
    np.testing.assert_allclose(means[name], wanted, atol=5e-3)  # half of a bias's own step


def test_search_keeps_or_lowers_the_error(networks: Networks, grids: Grids, crops: torch.Tensor) -> None:
    simulation = Simulation(networks("x1"), grids("x1"))
    pair = targets(simulation, crops)
    before = error(simulation, *pair)
    search_ranges(simulation, grids("x1"), crops)
    assert error(simulation, *pair) <= before


def test_learning_lowers_the_error_and_ends_in_equal_parameters(
    networks: Networks, grids: Grids, crops: torch.Tensor
) -> None:
    ends = []
    for _ in range(2):
        simulation = Simulation(networks("x1"), grids("x1"))
        curve = tune(simulation, Crops(crops[:8], crops[8:]), Tuning(steps=30, batch=4))
        ends.append(simulation.state_dict())
    held_out = [point.held_out_mse for point in curve]
    kept = geometric_error(simulation, *targets(simulation, crops[8:]))
    assert kept == pytest.approx(min(held_out)) and kept < held_out[0]
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])


@pytest.mark.parametrize("kind", ["small", "constant", "black"])
@pytest.mark.parametrize("bypass", [False, True])
@pytest.mark.parametrize("ranges", ["percentile", "search"])
def test_images_at_the_edge_are_prepared_and_built(
    float_graphs: Callable[[str], Path],
    tmp_path: Path,
    portrait: np.ndarray,
    kind: str,
    ranges: str,
    bypass: bool,
) -> None:
    image = {"small": portrait[:5, :9], "constant": np.full((40, 40, 3), 114, np.uint8)}
    image["black"] = image["constant"] * 0
    write_png(tmp_path / "i.png", image[kind])
    graph, out = float_graphs("x1"), tmp_path / "tune"
    options = replace(ALL, tuning=replace(BUDGET, crops=1), bypass=bypass, ranges=Ranges(ranges, 99.999))
    prepare(graph, tmp_path / "none.npz", [tmp_path / "i.png"], out, options)
    first = (out / "curve.csv").read_text().splitlines()
    assert first[0] == "step,training_mse,held_out_mse" and first[1].startswith("0,nan,")
    quantize(graph, tmp_path / "none.npz", tmp_path / "int8", bypass=bypass, prepared=out)
    pixels = np.ascontiguousarray(portrait[:9, :9].transpose(2, 0, 1)[None])
    session = ort.InferenceSession(tmp_path / "int8" / "model.onnx", providers=["CPUExecutionProvider"])
    assert session.run(None, {"image": pixels})[0].shape == (1, 3, 9, 9)


def test_no_image_is_refused(float_graphs: Callable[[str], Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no calibration images"):
        prepare(float_graphs("x1"), tmp_path / "none.npz", [], tmp_path, ALL)
