"""Channel statistics, against noise that is added and against numpy."""

from collections.abc import Callable

import numpy as np
import torch

from edsr_int8.quantization.ir.layers import Network
from edsr_int8.quantization.simulation.channel_statistics import channel_moments, channel_peaks
from edsr_int8.quantization.simulation.quantsim import NOTHING, Simulation
from edsr_int8.quantization.state import QuantizedNetwork

Networks = Callable[[str], Network]


@torch.no_grad()
def test_gain_tells_how_far_noise_reaches(networks: Networks, crops: torch.Tensor) -> None:
    network, name, deviation = networks("x4"), "body.0.conv2.add", 1e-2
    random, simulation = torch.Generator().manual_seed(1), Simulation(QuantizedNetwork(network))
    signal = []

    def disturb(of: str, value: torch.Tensor) -> torch.Tensor:
        if of != name:
            return value
        signal.append(value.double().numpy())
        return value + deviation * torch.randn(value.shape, generator=random)

    exact = simulation(crops.float(), rounding=NOTHING)
    difference = simulation(crops.float(), rounding=NOTHING, see=disturb) - exact
    with torch.enable_grad():
        found = channel_moments(network, [name], crops, seed=0)[name]
    np.testing.assert_allclose(
        np.trace(found.gain), float(difference.square().mean()) / deviation**2, rtol=0.1
    )
    second_moment = np.einsum("nchw,ndhw->cd", signal[0], signal[0]) / signal[0][:, 0].size
    np.testing.assert_allclose(found.signal, second_moment, rtol=1e-4, atol=1e-3)


@torch.no_grad()
def test_peaks_are_the_largest_values(networks: Networks, crops: torch.Tensor) -> None:
    network, seen = networks("six"), {}

    def see(name: str, value: torch.Tensor) -> torch.Tensor:
        seen[name] = value.numpy()
        return value

    Simulation(QuantizedNetwork(network))(crops.float(), rounding=NOTHING, see=see)
    peaks = channel_peaks(network, crops)
    assert peaks.keys() == seen.keys()
    for name, value in seen.items():
        np.testing.assert_allclose(peaks[name], value.max(axis=(0, 2, 3)), rtol=1e-4, atol=1e-3)
