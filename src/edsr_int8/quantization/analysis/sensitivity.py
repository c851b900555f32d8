"""Where the int8 loss comes from: each tensor and each convolution rounded alone."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor

from edsr_int8.progress import bar
from edsr_int8.quantization.analysis.losses import Loss
from edsr_int8.quantization.calibration.quantization_parameters import choose_grids, load_histograms
from edsr_int8.quantization.ir.layers import Conv, Layer
from edsr_int8.quantization.ir.read_onnx import read_network
from edsr_int8.quantization.recipe import MODEL_CARD, Statistics
from edsr_int8.quantization.rewrites.fold import fold
from edsr_int8.quantization.simulation.crops import cut_crops
from edsr_int8.quantization.simulation.objective import mean_error, with_float_outputs
from edsr_int8.quantization.simulation.quantsim import NOTHING, Rounding, Simulation
from edsr_int8.quantization.state import QuantizedNetwork

CROPS = Statistics(crops=4, patch=32, seed=0)


def measure_losses(
    float_model: Path, histograms: Path, images: Sequence[Path], *, device: str = "cpu"
) -> list[Loss]:
    """The losses of int8 with the model card's ranges, on crops of calibration images, without labels."""
    network = fold(read_network(float_model))
    grids = choose_grids(network, load_histograms(histograms, network), MODEL_CARD)
    crops = cut_crops(images, CROPS).to(device)
    return sensitivity(QuantizedNetwork(network, grids), crops.training)


@torch.no_grad()
def sensitivity(state: QuantizedNetwork, crops: Tensor) -> list[Loss]:
    """Losses on uint8 NCHW `crops`: `all` first, then tensors and convolutions in the network's order.

    What comes before the layer that is quantized alone is computed once for all: half of all work.
    """
    simulation, network = Simulation(state).to(crops.device), state.network
    images, wanted = with_float_outputs(network, crops)
    found = [Loss("all", "all", mean_error(simulation, images, wanted))]
    before = simulation.start(images)
    for layer in bar(network.layers, "sensitivity", unit="layer"):
        for kind, rounding in _alone(layer, state):
            squares = (simulation.resume(before, rounding=rounding) - wanted).square()
            found.append(Loss(layer.name, kind, float(squares.mean(dim=(1, 2, 3)).mean())))
        before = simulation.step(before, NOTHING)
    return found


def _alone(layer: Layer, state: QuantizedNetwork) -> Iterator[tuple[str, Rounding]]:
    none, one = frozenset[str](), frozenset([layer.name])
    if layer.name in state.grids:
        yield "tensor", Rounding(tensors=one, weights=none)
    if isinstance(layer, Conv):
        yield "weights", Rounding(tensors=none, weights=one)
