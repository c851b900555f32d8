"""A tensor whose channels are carried several times, on grids offset by a fraction of a step: exact in float.

Rounding to a grid of step s, once as it is and once half a step higher, and taking the mean of the two, is
rounding to a grid of step s/2: a quarter of the noise. With k carriers it is a k-th of the step. The
convolution that produces the tensor has its output channels k times, each copy with another offset in its
bias; the convolutions that consume it have a k-th of the weight for each. The offsets add up to zero, so
even zero padding is exact. It costs k times the work of these convolutions: it pays where a tensor has few
channels and its rounding costs the picture most.
"""

from dataclasses import replace

import numpy as np

from edsr_int8.quantization.ir.layers import Concat, Conv, Layer, Network, parts


def carry(network: Network, name: str, carriers: int) -> Network:
    """`network` with every channel of the tensor `name` carried so many times.

    Equal on every pixel, borders included, to 1e-9 grey levels in float64. ValueError where the tensor is not
    that of a linear convolution which only convolutions read, directly or as part of a concatenation.
    """
    producer = next((x for x in network.layers if x.name == name), None)
    read = parts(network)
    joins = {x.name for x in network.layers if isinstance(x, Concat) and name in read[x.name]}
    readers = [x for x in network.layers if {name, *joins} & set(x.inputs) and x.name not in joins]
    if not (isinstance(producer, Conv) and producer.linear and producer.carriers == 1):
        raise ValueError(f"{name}: only the output of a linear convolution can be carried")
    if not all(isinstance(x, Conv) for x in readers):
        raise ValueError(f"{name}: only convolutions can read a tensor that is carried")

    def changed(layer: Layer) -> Layer:
        if layer is producer:
            weight = np.tile(layer.weight, (carriers, 1, 1, 1))
            return replace(layer, weight=weight, bias=np.tile(layer.bias, carriers), carriers=carriers)
        if isinstance(layer, Conv) and layer in readers:
            part = read[layer.inputs[0]][name]
            before, own, after = np.split(layer.weight.astype(np.float64), [part.start, part.stop], axis=1)
            weight = np.concatenate([before, np.tile(own / carriers, (1, carriers, 1, 1)), after], axis=1)
            expected = layer.expected
            if expected is not None:
                before, own, after = np.split(expected, [part.start, part.stop])
                expected = np.concatenate([before, np.tile(own, carriers), after])
            return replace(layer, weight=weight, expected=expected)
        return layer

    return replace(network, layers=tuple(map(changed, network.layers)))
