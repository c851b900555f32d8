"""Where the int8 loss comes from: each tensor and each convolution rounded alone."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from torch import Tensor

from edsr_int8.progress import bar
from edsr_int8.quantization.analysis.losses import Loss
from edsr_int8.quantization.calibration.quantization_parameters import choose_grids, load_histograms
from edsr_int8.quantization.ir.layers import Conv
from edsr_int8.quantization.ir.read_onnx import read_network
from edsr_int8.quantization.recipe import MODEL_CARD, Statistics
from edsr_int8.quantization.rewrites.fold import fold
from edsr_int8.quantization.simulation.crops import cut_crops
from edsr_int8.quantization.simulation.objective import mean_error, with_float_outputs
from edsr_int8.quantization.simulation.quantsim import Rounding, Simulation
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


def sensitivity(state: QuantizedNetwork, crops: Tensor) -> list[Loss]:
    """Losses on uint8 NCHW `crops`: `all` first, then tensors and convolutions in the network's order."""
    simulation, network = Simulation(state).to(crops.device), state.network
    images, wanted = with_float_outputs(network, crops)
    tensors = frozenset(state.grids)
    weights = frozenset(x.name for x in network.layers if isinstance(x, Conv))

    def measure(rounded_tensors: frozenset[str], rounded_weights: frozenset[str]) -> float:
        return mean_error(simulation, images, wanted, Rounding(rounded_tensors, rounded_weights))

    found = [Loss("all", "all", measure(tensors, weights))]
    for name, kind in bar(list(_rounded(state)), "sensitivity", unit="rounding"):
        one, none = frozenset([name]), frozenset[str]()
        found.append(Loss(name, kind, measure(one, none) if kind == "tensor" else measure(none, one)))
    return found


def _rounded(state: QuantizedNetwork) -> Iterator[tuple[str, str]]:
    for layer in state.network.layers:
        if layer.name in state.grids:
            yield layer.name, "tensor"
        if isinstance(layer, Conv):
            yield layer.name, "weights"
