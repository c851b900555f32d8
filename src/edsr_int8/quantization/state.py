"""What every pass takes and returns, and its file: build/<model>/<precision>/finetune."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from edsr_int8.artifacts import read_json, read_npz, reading
from edsr_int8.errors import InputError
from edsr_int8.files import atomic, write_json
from edsr_int8.quantization.analysis.curves import CurvePoint
from edsr_int8.quantization.ir.grid import Grid
from edsr_int8.quantization.ir.layers import Layer, Network
from edsr_int8.quantization.rewrites.fold_long_skip import on_grids
from edsr_int8.quantization.scheme import DEFAULT, HighPrecision, Scheme

NETWORK, ARRAYS = "network.json", "arrays.npz"
KINDS = {kind.__name__: kind for kind in Layer.__subclasses__()}


@dataclass(frozen=True, eq=False)
class QuantizedNetwork:
    """A folded network on its way to int8.

    `grids`: of the calibrated tensors; none before calibration. `high_precision`: layers above 8 bits.
    `curve`: what finetuning gained. `scheme`: which grids are allowed.
    """

    network: Network
    grids: Mapping[str, Grid] = field(default_factory=dict)
    high_precision: frozenset[str] = frozenset()
    curve: tuple[CurvePoint, ...] = ()
    scheme: Scheme = DEFAULT
    high_precision_dtype: HighPrecision = "float32"

    @property
    def wide(self) -> frozenset[str]:
        """The high-precision layers whose activations are 16-bit integers."""
        return self.high_precision if self.high_precision_dtype == "uint16" else frozenset()

    @property
    def in_float(self) -> frozenset[str]:
        """The high-precision layers that compute in float."""
        return self.high_precision - self.wide

    def on_grids(self, grids: Mapping[str, Grid]) -> "QuantizedNetwork":
        """The same network on other grids; weights that are written in steps of a scale follow it."""
        return replace(self, network=on_grids(self.network, grids), grids=grids)


def save(folder: Path, state: QuantizedNetwork) -> None:
    """Write `folder`/network.json and arrays.npz; equal values give equal bytes."""
    arrays: dict[str, np.ndarray] = {}
    layers = [_plain(layer, arrays) for layer in state.network.layers]
    with atomic(folder / ARRAYS) as temporary:
        np.savez(temporary, allow_pickle=False, **arrays)
    grids = {name: dataclasses.asdict(grid) for name, grid in state.grids.items()}
    tree = {
        "layers": layers,
        "metadata": state.network.metadata,
        "grids": grids,
        "high_precision": sorted(state.high_precision),
        "high_precision_dtype": state.high_precision_dtype,
        "scheme": state.scheme,
        "centre": state.network.centre,
    }
    write_json(folder / NETWORK, tree | {"sha256": _checksum(tree)})


def load(folder: Path, *, weights_sha256: str) -> QuantizedNetwork:
    """What `save` wrote, without the curve. InputError: damaged, or made of other weights than stated."""
    tree = read_json(folder / NETWORK, dict[str, Any], "finetune")
    arrays = read_npz(folder / ARRAYS, "finetune")
    with reading(folder / NETWORK, "finetune"):
        if tree.pop("sha256") != _checksum(tree):
            raise ValueError("its checksum is another")
        layers = tuple(_layer(entry, arrays) for entry in tree["layers"])
        network = Network(layers, dict(tree["metadata"]), tree["centre"])
        grids = {name: Grid(**entry) for name, entry in tree["grids"].items()}
        high_precision = frozenset(tree["high_precision"])
        state = QuantizedNetwork(
            network,
            grids,
            high_precision,
            scheme=tree["scheme"],
            high_precision_dtype=tree["high_precision_dtype"],
        )
    if network.weights_sha256 != weights_sha256:
        raise InputError(
            f"{folder}: is of weights {network.weights_sha256:.8}, not {weights_sha256:.8}; "
            "run finetune again"
        )
    return state


def _checksum(tree: Mapping[str, Any]) -> str:
    """Of everything in network.json but itself: one digit more or less would be another network."""
    return hashlib.sha256(json.dumps(tree, sort_keys=True).encode()).hexdigest()


def _plain(layer: Layer, arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    """`layer` for JSON; its arrays go into `arrays`. Infinity, which JSON has not, is text."""
    entry: dict[str, Any] = {"kind": type(layer).__name__}
    for each in dataclasses.fields(layer):
        value = getattr(layer, each.name)
        if isinstance(value, np.ndarray):
            arrays[f"{layer.name}.{each.name}"] = value
        elif value is not None:
            entry[each.name] = str(value) if value in (float("inf"), -float("inf")) else value
    return entry


def _layer(entry: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Layer:
    kind = KINDS[entry["kind"]]
    values: dict[str, Any] = {}
    for each in dataclasses.fields(kind):
        if (name := f"{entry['name']}.{each.name}") in arrays:
            values[each.name] = arrays[name]
        elif each.name in entry:
            values[each.name] = _value(entry[each.name])
    return kind(**values)


def _value(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(map(_value, value))
    return float(value) if value in ("inf", "-inf") else value
