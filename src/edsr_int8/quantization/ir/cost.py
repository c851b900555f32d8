"""What a network costs: multiply-accumulates, and the share of work and memory above 8 bits."""

from collections.abc import Collection

from edsr_int8.quantization.ir.layers import Add, Conv, Layer, Network, convolutions, resolutions
from edsr_int8.quantization.scheme import HighPrecision

INT8_BYTES = 1
HIGH_PRECISION_BYTES: dict[HighPrecision, int] = {"float32": 4, "uint16": 2}


def conv_macs(network: Network) -> dict[str, float]:
    """Multiply-accumulates of each convolution, per pixel of the input image."""
    finer = resolutions(network)
    return {x.name: finer[x.name] ** 2 * x.weight.size for x in convolutions(network)}


def high_precision_shares(
    network: Network, high_precision: Collection[str], dtype: HighPrecision = "float32"
) -> tuple[float, float]:
    """The share of MACs of convolutions with any input or output above 8 bits, and of activation bytes above.

    `high_precision` names the layers above 8 bits, `dtype` what they compute in.
    """
    macs, finer = conv_macs(network), resolutions(network)
    above = sum(macs[name] for name in macs if name in high_precision)
    elements = {
        x.name: finer[x.name] ** 2 * _channels(x, network)
        for x in network.layers
        if isinstance(x, Conv | Add)
    }
    high = sum(HIGH_PRECISION_BYTES[dtype] * elements[name] for name in elements if name in high_precision)
    low = sum(INT8_BYTES * elements[name] for name in elements if name not in high_precision)
    return above / sum(macs.values()), high / (high + low)


def _channels(layer: Layer, network: Network) -> int:
    producers = {x.name: x for x in network.layers}
    while not isinstance(layer, Conv):
        layer = producers[layer.inputs[0]]
    return len(layer.bias)
