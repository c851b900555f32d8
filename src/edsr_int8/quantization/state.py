"""What `round` and `tune` hand to `quantize`: weights, and of `tune` grids and which layers stay in float."""

import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from edsr_int8.errors import InputError
from edsr_int8.files import atomic, read_json, write_json
from edsr_int8.quantization.calibration.range_estimators import Grid
from edsr_int8.quantization.ir.layers import Conv, Network
from edsr_int8.quantization.rewrites.fold_long_skip import bypass_trunk, reads_join, regrid

WEIGHTS, GRIDS = "weights.npz", "grids.json"
ORIGIN = "weights_sha256"  # in the weights file: of what they were made
DAMAGED = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile)  # what reading a damaged file raises


def save_weights(path: Path, *networks: Network) -> None:
    """Write weights and biases of a network, or of two forms of it; equal values give equal bytes."""
    arrays: dict[str, np.ndarray] = {ORIGIN: np.array(networks[0].weights_sha256)}
    for conv in (layer for network in networks for layer in network.layers if isinstance(layer, Conv)):
        arrays |= {f"{_key(conv)}.weight": conv.weight, f"{_key(conv)}.bias": conv.bias}
    with atomic(path) as temporary:
        np.savez(temporary, allow_pickle=False, **arrays)


def _key(conv: Conv) -> str:
    """The convolution that reads a join has other weights there than without."""
    return f"{conv.name}.joined" if reads_join(conv) else conv.name


def load_weights(path: Path, network: Network) -> Network:
    """The folded `network` with the weights that `save_weights` wrote.

    InputError: they cannot be read, or are another network's.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            if (origin := str(arrays[ORIGIN])) != network.weights_sha256:
                raise InputError(
                    f"{path}: is of weights {origin:.8}, not {network.weights_sha256:.8}; "
                    "run round and tune again"
                )
            layers = tuple(
                _with_weights(layer, arrays) if isinstance(layer, Conv) else layer for layer in network.layers
            )
    except DAMAGED as error:
        raise InputError(f"{path}: not what round or tune writes ({error}); run it again") from None
    return replace(network, layers=layers)


def _with_weights(conv: Conv, arrays: Mapping[str, np.ndarray]) -> Conv:
    weight, bias = arrays[f"{_key(conv)}.weight"], arrays[f"{_key(conv)}.bias"]
    if weight.shape != conv.weight.shape:
        raise ValueError(f"{conv.name} is {weight.shape} there and {conv.weight.shape} in the network")
    return replace(conv, weight=weight, bias=bias)


def save(folder: Path, network: Network, grids: Mapping[str, Grid], floats: Sequence[str]) -> None:
    """Write `folder`/weights.npz and grids.json; equal values give equal bytes."""
    save_weights(folder / WEIGHTS, network)
    scales = {name: {"scale": grid.scale, "zero_point": grid.zero_point} for name, grid in grids.items()}
    write_json(folder / GRIDS, {"grids": scales, "floats": sorted(floats)})


def load(
    folder: Path, network: Network, *, bypass: bool = False
) -> tuple[Network, dict[str, Grid], frozenset[str]]:
    """The folded `network` with the weights of `folder`, its grids, and the layers that stay in float.

    `bypass`: whether its row asked for that.
    """
    try:
        found = read_json(folder / GRIDS)
        grids = {name: Grid(entry["scale"], entry["zero_point"]) for name, entry in found["grids"].items()}
        floats = frozenset(found["floats"])
        network = regrid(bypass_trunk(network, floats) if bypass else network, grids)
    except DAMAGED as error:
        raise InputError(f"{folder}: not what tune writes ({error}); run it again") from None
    return load_weights(folder / WEIGHTS, network), grids, floats
