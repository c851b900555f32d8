"""What crops say of the tensors of a network: how large they are, and how far noise in them reaches."""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from edsr_int8.quantization.ir.layers import Conv, Join, Network
from edsr_int8.quantization.rewrites.channel_transform import Basis, best_basis, change_basis, linear_bases
from edsr_int8.quantization.simulation.quantsim import Simulation

BATCH = 8


@dataclass(frozen=True, eq=False)
class Statistics:
    """Over pixels and crops: mean of t t^T, and of g g^T for the gradient g of the output's noise."""

    signal: np.ndarray  # channels x channels
    gain: np.ndarray


def statistics(
    network: Network, names: Collection[str], crops: Tensor, *, seed: int
) -> dict[str, Statistics]:
    """Of the tensors `names`. For the gain, the output is weighed with random signs (Hutchinson 1989)."""
    simulation, random = Simulation(network, {}), torch.Generator().manual_seed(seed)
    signal: dict[str, np.ndarray] = {}
    gain: dict[str, np.ndarray] = {}
    seen: dict[str, Tensor] = {}

    def see(name: str, value: Tensor) -> Tensor:
        if name in names:
            value.retain_grad()
            seen[name] = value
        return value

    for batch in crops.split(BATCH):
        output = simulation(batch.float().requires_grad_(), exact=True, see=see)
        output.backward(torch.randint(0, 2, output.shape, generator=random) * 2.0 - 1)
        for name, value in seen.items():
            assert value.grad is not None
            pixels, outputs = (len(crops) * part.numel() for part in (value[0, 0], output[0]))
            signal[name] = signal.get(name, 0) + _second_moment(value.detach()) / pixels
            gain[name] = gain.get(name, 0) + _second_moment(value.grad) / outputs
    return {name: Statistics(signal[name], gain[name]) for name in names}


def _second_moment(value: Tensor) -> np.ndarray:
    rows = value.transpose(0, 1).reshape(value.shape[1], -1).double()
    moment: np.ndarray = (rows @ rows.T).numpy()
    return moment


def mix(network: Network, crops: Tensor, *, seed: int) -> Network:
    """`network` in the bases in which rounding costs the picture least, by what `crops` show."""
    bases = linear_bases(network)
    names = {basis: _read(network, basis) for basis in bases}
    found = statistics(network, [n for basis in bases for n in names[basis]], crops, seed=seed)
    for basis in bases:
        of = [found[name] for name in names[basis]]
        network = change_basis(network, basis, best_basis([s.signal for s in of], [s.gain for s in of]))
    return network


def _read(network: Network, basis: Basis) -> list[str]:
    """The tensors of a basis that convolutions read. One that is only added to such a one counts there."""
    read = {x.inputs[0] for x in network.layers if isinstance(x, Conv | Join)}
    return [x.name for x in network.layers if x.name in basis & read]


@torch.no_grad()
def channel_peaks(network: Network, crops: Tensor) -> dict[str, np.ndarray]:
    """The largest value of each channel, of every tensor behind a convolution."""
    peaks: dict[str, np.ndarray] = {}

    def see(name: str, value: Tensor) -> Tensor:
        found = value.amax(dim=(0, 2, 3)).double().numpy()
        peaks[name] = np.maximum(peaks[name], found) if name in peaks else found
        return value

    simulation = Simulation(network, {})
    for batch in crops.split(BATCH):
        simulation(batch.float(), exact=True, see=see)
    return peaks
