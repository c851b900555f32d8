"""The file of weights that GPTQ rounded: build/gptq/<model>.npz."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from edsr_int8.artifacts import Arrays, read_npz, reading
from edsr_int8.errors import InputError
from edsr_int8.files import atomic
from edsr_int8.quantization.ir.layers import Conv, Network

DEVICE = "device"  # that made them, where it was not the CPU
ORIGIN = "weights_sha256"  # of the checkpoint that the weights came from


def save_weights(path: Path, forms: Mapping[str, Network]) -> None:
    """Write the weights and biases of one or more forms of a network, by label; equal values, equal bytes."""
    first = next(iter(forms.values()))
    arrays: dict[str, np.ndarray] = {ORIGIN: np.array(first.weights_sha256)}
    if device := first.metadata.get(DEVICE):
        arrays[DEVICE] = np.array(device)
    for label, network in forms.items():
        for conv in (x for x in network.layers if isinstance(x, Conv)):
            arrays[f"{_key(label, conv)}.weight"] = conv.weight
            arrays[f"{_key(label, conv)}.bias"] = conv.bias
    with atomic(path) as temporary:
        np.savez(temporary, allow_pickle=False, **arrays)


def load_weights(path: Path, network: Network, label: str) -> Network:
    """`network` with the weights of `path` for its form `label`.

    InputError: damaged, another network's, or of other forms.
    """
    arrays = read_npz(path, "gptq")
    with reading(path, "gptq"):
        origin = str(arrays[ORIGIN])
        made_on = {DEVICE: str(arrays[DEVICE])} if DEVICE in arrays else {}
        layers = tuple(_with_weights(x, label, arrays) if isinstance(x, Conv) else x for x in network.layers)
    if origin != network.weights_sha256:
        raise InputError(
            f"{path}: is of weights {origin:.8}, not {network.weights_sha256:.8}; run gptq again"
        )
    return replace(network, layers=layers, metadata=network.metadata | made_on)


def _key(label: str, conv: Conv) -> str:
    return f"{label}/{conv.name}.{'x'.join(map(str, conv.weight.shape))}"


def _with_weights(conv: Conv, label: str, arrays: Arrays) -> Conv:
    key = _key(label, conv)
    weight, bias = arrays[f"{key}.weight"], arrays[f"{key}.bias"]
    if (weight.shape, bias.shape) != (conv.weight.shape, conv.bias.shape):
        raise ValueError(f"{key} is of another shape")
    return replace(conv, weight=weight, bias=bias)
