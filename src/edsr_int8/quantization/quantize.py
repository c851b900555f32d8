"""From a float graph and its histograms to the int8 build: rewrites, ranges, QDQ graph. Takes seconds."""

from collections.abc import Mapping
from pathlib import Path

from edsr_int8.errors import InputError
from edsr_int8.files import atomic, write_json
from edsr_int8.quantization.network import (
    IMAGE,
    Network,
    Plane,
    Shuffle,
    ends_on_image,
    measured,
    read_network,
)
from edsr_int8.quantization.qdq import qdq_model
from edsr_int8.quantization.ranges import IMAGE_GRID, Grid, Range, choose, grid
from edsr_int8.quantization.rewrite import fold
from edsr_int8.quantization.sketch import load


def quantize(
    float_model: Path, histograms: Path, out: Path, *, ranges: str = "percentile", percentile: float = 99.999
) -> None:
    """Write `out`/model.onnx, uint8 in and out, and `out`/ranges.json: what was chosen for each tensor.

    `ranges` is a method of ranges.py, `percentile` its percentage where it takes one. Equal inputs
    give equal bytes. InputError where `histograms` are not those of `float_model`.
    """
    network = fold(read_network(float_model))
    sketches = load(histograms, weights_sha256=network.metadata.get("weights_sha256", ""))
    if missing := [name for name in measured(network) if name not in sketches]:
        raise InputError(f"{histograms}: has no tensor {missing[0]}; run observe again")
    kept = {name: choose(sketches[name], ranges=ranges, percentile=percentile) for name in measured(network)}
    grids = all_grids(network, kept)
    options = {"precision": "int8", "ranges": ranges, "percentile": f"{percentile:g}"}
    model = qdq_model(network, grids, network.metadata | options)
    with atomic(out / "model.onnx") as temporary:
        temporary.write_bytes(model.SerializeToString(deterministic=True))
    write_json(out / "ranges.json", {name: _entry(kept[name], grids[name]) for name in kept})


def all_grids(network: Network, ranges: Mapping[str, Range]) -> dict[str, Grid]:
    """The grid of every tensor: an image's own, a shuffle's its input's, any other's by its range."""
    grids = {IMAGE: IMAGE_GRID}
    grids |= dict.fromkeys(ends_on_image(network), IMAGE_GRID)
    grids |= {name: grid(*ends) for name, ends in ranges.items()}
    for layer in network.layers:
        if isinstance(layer, Plane | Shuffle):
            grids[layer.name] = grids[layer.inputs[0]]
    return grids


def _entry(kept: Range, chosen: Grid) -> dict[str, float]:
    return {"low": kept[0], "high": kept[1], "scale": chosen.scale, "zero_point": chosen.zero_point}
