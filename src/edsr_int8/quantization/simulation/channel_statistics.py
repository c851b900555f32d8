"""Statistics of tensors on crops: how large they are, and how much of their noise reaches the output."""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from edsr_int8.quantization.ir.layers import Network
from edsr_int8.quantization.simulation.crops import crops_at_once
from edsr_int8.quantization.simulation.quantsim import NOTHING, Simulation
from edsr_int8.quantization.state import QuantizedNetwork

BATCH = 8


@dataclass(frozen=True, eq=False)
class Moments:
    """Means over pixels and crops, channels x channels.

    `signal`: of t t^T, for the channels t of a pixel. `gain`: of g g^T, for the gradient g of the output.
    """

    signal: np.ndarray
    gain: np.ndarray


def channel_moments(
    network: Network, names: Collection[str], crops: Tensor, *, seed: int
) -> dict[str, Moments]:
    """Of the tensors `names`. The gain weighs the output with random signs (Hutchinson 1989)."""
    simulation = Simulation(QuantizedNetwork(network)).to(crops.device)
    random = torch.Generator().manual_seed(seed)
    signal: dict[str, np.ndarray] = {}
    gain: dict[str, np.ndarray] = {}
    seen: dict[str, Tensor] = {}

    def see(name: str, value: Tensor) -> Tensor:
        if name in names:
            value.retain_grad()
            seen[name] = value
        return value

    for batch in crops.split(crops_at_once(crops, BATCH)):
        output = simulation(batch.float().requires_grad_(), rounding=NOTHING, see=see)
        signs = torch.randint(0, 2, output.shape, generator=random) * 2.0 - 1
        output.backward(signs.to(output.device))
        for name, value in seen.items():
            assert value.grad is not None
            pixels, outputs = (len(crops) * part.numel() for part in (value[0, 0], output[0]))
            signal[name] = signal.get(name, 0) + _second_moment(value.detach()) / pixels
            gain[name] = gain.get(name, 0) + _second_moment(value.grad) / outputs
    return {name: Moments(signal[name], gain[name]) for name in names}


def _second_moment(value: Tensor) -> np.ndarray:
    rows = value.transpose(0, 1).reshape(value.shape[1], -1).double()
    moment: np.ndarray = (rows @ rows.T).cpu().numpy()
    return moment


@torch.no_grad()
def channel_peaks(network: Network, crops: Tensor) -> dict[str, np.ndarray]:
    """The largest value of each channel, of every tensor."""
    peaks: dict[str, np.ndarray] = {}

    def see(name: str, value: Tensor) -> Tensor:
        found = value.amax(dim=(0, 2, 3)).double().cpu().numpy()
        peaks[name] = np.maximum(peaks[name], found) if name in peaks else found
        return value

    simulation = Simulation(QuantizedNetwork(network)).to(crops.device)
    for batch in crops.split(BATCH):
        simulation(batch.float(), rounding=NOTHING, see=see)
    return peaks
