"""Another channel basis between linear layers: an exact rewrite that leaves int8 less to lose.

Tensors that only convolutions, sums and shuffles touch can be expressed in another basis of their
channels: the convolutions that make them are multiplied by a matrix, those that read them by its
inverse, and the network computes what it did before. Of all bases, one rounds best: rounding noise is
as large in each channel (one grid serves them all), so what matters to the output should fill many
channels and what does not, none.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from edsr_int8.quantization.ir.layers import (
    IMAGE,
    Conv,
    Join,
    Layer,
    Network,
    Plane,
    Shuffle,
    Sum,
    Taps,
    ends_on_image,
)

Basis = frozenset[str]  # tensors whose channels are expressed alike

# Of the mean eigenvalue, added to both covariances: directions that calibration hardly saw, or that
# hardly reach the output, must not be scaled without bounds.
RIDGE = 0.1
TINY = np.finfo(float).tiny  # in place of the trace of a tensor that is all zero


def linear_bases(network: Network) -> list[Basis]:
    """The largest sets of tensors whose channels one invertible matrix may mix, in the network's order."""
    together: dict[str, set[str]] = {IMAGE: {IMAGE}}
    for layer in network.layers:
        together[layer.name] = {layer.name}
        if isinstance(layer, Sum | Shuffle | Plane):
            merged = set.union({layer.name}, *(together[name] for name in layer.inputs))
            together |= dict.fromkeys(merged, merged)
    bound = {IMAGE, *ends_on_image(network)}
    bound |= {x.name for x in network.layers if isinstance(x, Conv) and not x.linear}
    bound |= {x.name for x in network.layers if isinstance(x, Taps | Join)}
    found = dict.fromkeys(frozenset(names) for names in together.values() if not names & bound)
    return list(found)


def channels(network: Network, basis: Basis) -> int:
    """How many channels the tensors of a basis have; of those in front of a shuffle, one phase counts."""
    phases = _phases(network)
    maker = next(x for x in network.layers if isinstance(x, Conv) and x.name in basis)
    return len(maker.bias) // phases.get(maker.name, 1)


def change_basis(network: Network, basis: Basis, matrix: np.ndarray) -> Network:
    """The same function with every tensor of `basis` multiplied by `matrix` (channels x channels).

    Equal to `network` on every pixel, borders included, to 1e-9 grey levels in float64: zero padding
    stays zero under a matrix. LinAlgError where `matrix` has no inverse.
    """
    inverse, phases = np.linalg.inv(matrix), _phases(network)
    joins = {x.name: x.inputs for x in network.layers if isinstance(x, Join)}

    def changed(layer: Layer) -> Layer:
        if not isinstance(layer, Conv):
            return layer
        weight, bias = layer.weight.astype(np.float64), layer.bias.astype(np.float64)
        sources = joins.get(layer.inputs[0], layer.inputs)
        if sources[0] in basis:  # of a join, the first channels
            own, rest = np.split(weight, [len(matrix)], axis=1)
            weight = np.concatenate([np.einsum("oihw,ij->ojhw", own, inverse), rest], axis=1)
        if layer.name in basis:
            split = (len(matrix), phases.get(layer.name, 1))
            weight = np.einsum("pc,cfihw->pfihw", matrix, weight.reshape(*split, *weight.shape[1:]))
            weight = weight.reshape(layer.weight.shape)
            bias = (matrix @ bias.reshape(split)).reshape(-1)
        return replace(layer, weight=weight, bias=bias)

    return replace(network, layers=tuple(map(changed, network.layers)))


def best_basis(signals: Sequence[np.ndarray], gains: Sequence[np.ndarray]) -> np.ndarray:
    """The matrix for tensors with covariances `signals` whose noise reaches the output by `gains`.

    A tensor's noise of variance s^2 in every channel, in basis R, gives the output s^2 tr(M R^-1 R^-T),
    where M is the mean of g g^T over gradients g of the output; and s^2 grows with the mean of the
    diagonal of R C R^T, since a grid has 256 steps. The least product has R^T R = C^-1 # M, the
    geometric mean (Bhatia, Positive Definite Matrices, 2007, ch. 4); it is free up to a rotation, and
    a Hadamard matrix on the principal axes gives each channel the same variance and few outliers.
    """
    signal = _ridged(sum(c / max(np.trace(c), TINY) for c in signals))
    gain = _ridged(sum(m * np.trace(c) for m, c in zip(gains, signals, strict=True)))
    root, inverse_root = _power(signal, 0.5), _power(signal, -0.5)
    mean = inverse_root @ _power(root @ gain @ root, 0.5) @ inverse_root
    half = _power(mean, 0.5)
    _, axes = np.linalg.eigh(half @ signal @ half)
    return _spread(len(signal)) @ axes.T @ half


def _phases(network: Network) -> dict[str, int]:
    """Convolution in front of a shuffle -> how many of its channels become one."""
    return {x.inputs[0]: x.factor**2 for x in network.layers if isinstance(x, Shuffle)}


def _ridged(covariance: np.ndarray) -> np.ndarray:
    covariance = covariance / max(np.trace(covariance), TINY) * len(covariance)
    return covariance + RIDGE * np.eye(len(covariance))


def _power(matrix: np.ndarray, exponent: float) -> np.ndarray:
    values, axes = np.linalg.eigh((matrix + matrix.T) / 2)
    result: np.ndarray = (axes * values**exponent) @ axes.T
    return result


def _spread(count: int) -> np.ndarray:
    """An orthogonal matrix that spreads each axis over all channels: Hadamard's, or else Hartley's."""
    if count & (count - 1) == 0:
        matrix = np.ones((1, 1))
        while len(matrix) < count:
            matrix = np.block([[matrix, matrix], [matrix, -matrix]])
        return matrix / np.sqrt(count)
    angles = 2 * np.pi * np.outer(np.arange(count), np.arange(count)) / count
    return (np.cos(angles) + np.sin(angles)) / np.sqrt(count)


def even_out(network: Network, peaks: dict[str, np.ndarray], *, most: float = 4.0) -> Network:
    """Channels inside residual blocks scaled up to the largest one's peak, at most `most` times.

    `peaks`: the largest value of each channel behind a Relu. A Relu network is positively homogeneous,
    so the output stays; beyond `most`, what calibration seldom saw would be clipped on other images.
    """
    for layer in _inner(network):
        peak = peaks[layer.name]
        factors = np.clip(peak.max() / np.maximum(peak, np.finfo(np.float32).tiny), 1, most)
        network = _scaled(network, layer.name, factors)
    return network


def _inner(network: Network) -> Iterator[Conv]:
    """Convolutions with a Relu that one other convolution reads."""
    yield from (x for x in network.layers if isinstance(x, Conv) and (x.low, x.high) == (0, np.inf))


def _scaled(network: Network, name: str, factors: np.ndarray) -> Network:
    """The tensor `name` multiplied by positive `factors`, channel by channel, and its readers divided."""

    def changed(layer: Layer) -> Layer:
        if isinstance(layer, Conv) and layer.name == name:
            return replace(
                layer, weight=layer.weight * factors.reshape(-1, 1, 1, 1), bias=layer.bias * factors
            )
        if isinstance(layer, Conv) and layer.inputs == (name,):
            return replace(layer, weight=layer.weight / factors.reshape(1, -1, 1, 1))
        return layer

    return replace(network, layers=tuple(map(changed, network.layers)))
