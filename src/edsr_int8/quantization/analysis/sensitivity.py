"""Where the int8 loss comes from: each tensor and each convolution rounded alone, and all but it."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor

from edsr_int8.progress import bar
from edsr_int8.quantization.algorithms.finetune import error, targets
from edsr_int8.quantization.analysis.losses import Loss, decibels
from edsr_int8.quantization.calibration.quantization_parameters import calibrated_grids
from edsr_int8.quantization.ir.layers import read_network
from edsr_int8.quantization.recipe import MODEL_CARD
from edsr_int8.quantization.rewrites.fold import fold
from edsr_int8.quantization.simulation.crops import cut_crops
from edsr_int8.quantization.simulation.quantsim import THREADS, Simulation

CROPS, PATCH, SEED = 4, 32, 0


def measure_losses(float_model: Path, histograms: Path, images: Sequence[Path]) -> list[Loss]:
    """The losses of int8 with the card's ranges on crops of calibration images, without labels."""
    torch.set_num_threads(THREADS)
    network = fold(read_network(float_model))
    simulation = Simulation(network, calibrated_grids(network, histograms, MODEL_CARD))
    return sensitivity(simulation, cut_crops(images, count=CROPS, patch=PATCH, seed=SEED).training)


def sensitivity(simulation: Simulation, crops: Tensor) -> list[Loss]:
    """Losses on `crops`: `all` first, then tensor by tensor and convolution by convolution in their order."""
    images, wanted = targets(simulation, crops)
    tensors, layers = simulation.tensors, simulation.layers

    def measure(on_tensors: frozenset[str], on_layers: frozenset[str]) -> float:
        simulation.tensors, simulation.layers = on_tensors, on_layers
        return error(simulation, images, wanted)

    try:
        total = measure(tensors, layers)
        found = [Loss("all", "all", total, 0.0, 0.0)]
        for name, kind in bar(list(_parts(simulation)), "sensitivity", unit="part"):
            one, none = frozenset([name]), frozenset[str]()
            alone = measure(one, none) if kind == "tensor" else measure(none, one)
            without = measure(tensors - one, layers) if kind == "tensor" else measure(tensors, layers - one)
            found.append(Loss(name, kind, alone, without, decibels(without) - decibels(total)))
    finally:
        simulation.tensors, simulation.layers = tensors, layers
    return found


def _parts(simulation: Simulation) -> Iterator[tuple[str, str]]:
    for layer in simulation.network.layers:
        if layer.name in simulation.tensors:
            yield layer.name, "tensor"
        if layer.name in simulation.layers:
            yield layer.name, "weights"
