"""The int8 graph of a quantized network, and how near the simulation of it must come."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import ModelProto
from reference import nchw

from edsr_int8.quantization.ir.qdq_onnx import qdq_model
from edsr_int8.quantization.ir.scale_groups import all_grids
from edsr_int8.quantization.simulation.quantsim import ALL, NOTHING, Rounding, Simulation
from edsr_int8.quantization.state import QuantizedNetwork
from edsr_int8.targets.base import open_target
from edsr_int8.targets.row import TargetRow


def int8_graph(state: QuantizedNetwork) -> ModelProto:
    grids = all_grids(state.network, state.grids)
    return qdq_model(state.network, grids, {}, high_precision=state.high_precision)


@torch.no_grad()
def simulated(simulation: Simulation, image: np.ndarray, rounding: Rounding = ALL) -> np.ndarray:
    """Whole grey levels, NCHW, of a uint8 HWC image."""
    return simulation(torch.from_numpy(nchw(image, np.float32)), rounding=rounding).round().numpy()


def assert_alike_everywhere(state: QuantizedNetwork, image: np.ndarray, folder: Path) -> None:
    """Exact integers give onnxruntime's image, every pixel, and the simulation loses as much of it."""
    onnx.save(int8_graph(state), folder / "m.onnx")
    ours, theirs = (
        open_target(TargetRow(runtime, 1, 4096)).load(folder / "m.onnx")(nchw(image, np.uint8))
        for runtime in ("integer", "onnxruntime")
    )
    np.testing.assert_array_equal(ours, theirs)
    assert_simulates(Simulation(state), ours, image)


def assert_simulates(simulation: Simulation, built: np.ndarray, image: np.ndarray) -> None:
    """The simulation loses as much of the picture as int8 does, and mostly in the same pixels.

    `built`: the int8 output for `image`. Not to the bit: the simulation adds in float32, so here and there a
    value near a tie falls the other way, and each such value moves others in the layers after it.
    """
    found, expected = simulated(simulation, image), built.astype(float)
    exact = simulated(Simulation(QuantizedNetwork(simulation.state.network)), image, NOTHING)
    assert expected.std() > 5
    losses = [np.square(output - exact).mean() for output in (found, expected)]
    assert losses[0] == pytest.approx(losses[1], rel=0.1, abs=1e-3)
    assert np.square(found - expected).mean() <= 0.25 * losses[1] + 1e-3
