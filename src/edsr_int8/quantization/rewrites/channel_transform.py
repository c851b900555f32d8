"""Linear tensors in another basis of their channels: an exact rewrite that leaves int8 less to lose.

A tensor that only convolutions, sums and shuffles touch may be multiplied by an invertible matrix: the
convolutions that produce it are multiplied by the matrix, those that consume it by its inverse, and the
network computes what it did before. QuaRot and SpinQuant call this a rotation, for orthogonal matrices. Of
all bases, one rounds best: rounding noise is equally large in each channel (one grid serves them all), so
what matters to the output should fill many channels, and what does not matter, none.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from edsr_int8.quantization.ir.layers import (
    IMAGE,
    Add,
    Concat,
    ConstantPlane,
    Conv,
    Layer,
    Network,
    PixelShuffle,
    Taps,
    output_tensors,
    parts,
)

Basis = frozenset[str]  # tensors that must share one channel basis

# This share of the mean eigenvalue is added to both covariances: directions that calibration hardly saw, or
# that hardly reach the output, must not be scaled without bounds.
RIDGE = 0.1
TINY = np.finfo(float).tiny  # in place of the trace of a tensor that is all zero


def linear_bases(network: Network) -> list[Basis]:
    """The largest sets of tensors whose channels one invertible matrix may mix, in the network's order."""
    together: dict[str, set[str]] = {IMAGE: {IMAGE}}
    for layer in network.layers:
        together[layer.name] = {layer.name}
        if isinstance(layer, Add | PixelShuffle | ConstantPlane):
            merged = set.union({layer.name}, *(together[name] for name in layer.inputs))
            together |= dict.fromkeys(merged, merged)
    bound = {IMAGE, *output_tensors(network)}
    bound |= {x.name for x in network.layers if isinstance(x, Conv) and not x.linear}
    bound |= {x.name for x in network.layers if isinstance(x, Taps | Concat)}
    found = dict.fromkeys(frozenset(names) for names in together.values() if not names & bound)
    return list(found)


def channels(network: Network, basis: Basis) -> int:
    """The number of channels of the tensors of a basis; before a shuffle, those of one of its phases."""
    phases = _phases(network)
    producer = next(x for x in network.layers if isinstance(x, Conv) and x.name in basis)
    return len(producer.bias) // phases.get(producer.name, 1)


def transform_channels(network: Network, basis: Basis, matrix: np.ndarray) -> Network:
    """The same function with every tensor of `basis` multiplied by `matrix` (channels x channels).

    Equal to `network` on every pixel, borders included, to 1e-9 grey levels in float64: zero padding
    stays zero under a matrix. LinAlgError where `matrix` has no inverse.
    """
    inverse, phases = np.linalg.inv(matrix), _phases(network)
    read = parts(network)

    def changed(layer: Layer) -> Layer:
        if not isinstance(layer, Conv):
            return layer
        weight, bias = layer.weight.astype(np.float64, copy=True), layer.bias.astype(np.float64)
        for name, part in read[layer.inputs[0]].items():
            if name in basis:
                weight[:, part] = np.einsum("oihw,ij->ojhw", weight[:, part], inverse)
        if layer.name in basis:
            split = (len(matrix), phases.get(layer.name, 1))
            weight = np.einsum("pc,cfihw->pfihw", matrix, weight.reshape(*split, *weight.shape[1:]))
            weight = weight.reshape(layer.weight.shape)
            bias = (matrix @ bias.reshape(split)).reshape(-1)
        return replace(layer, weight=weight, bias=bias)

    return replace(network, layers=tuple(map(changed, network.layers)))


def best_transform(signals: Sequence[np.ndarray], gains: Sequence[np.ndarray]) -> np.ndarray:
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
    """Convolution before a shuffle -> the number of its channels that become one."""
    return {x.inputs[0]: x.factor**2 for x in network.layers if isinstance(x, PixelShuffle)}


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
