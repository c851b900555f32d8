"""From a float graph and its histograms to the int8 build: rewrites, ranges, QDQ graph. Takes seconds."""

from collections.abc import Mapping
from pathlib import Path

from edsr_int8.errors import InputError
from edsr_int8.files import atomic, write_json
from edsr_int8.quantization import tuned
from edsr_int8.quantization.bypass import bypass_trunk, regrid
from edsr_int8.quantization.calibrated import calibrated_grids, shared_grids, swept_grids
from edsr_int8.quantization.mixed import shares
from edsr_int8.quantization.narrow import narrow
from edsr_int8.quantization.network import (
    IMAGE,
    Join,
    Network,
    Plane,
    Shuffle,
    Taps,
    ends_on_image,
    read_network,
)
from edsr_int8.quantization.options import CARD, Ranges
from edsr_int8.quantization.qdq import qdq_model
from edsr_int8.quantization.ranges import IMAGE_GRID, STEPS, Grid
from edsr_int8.quantization.rewrite import fold


def quantize(
    float_model: Path,
    histograms: Path,
    out: Path,
    *,
    ranges: Ranges = CARD,
    share: bool = False,
    bypass: bool = False,
    narrowed: bool = False,
    rounded: Path | None = None,
    prepared: Path | None = None,
) -> None:
    """Write `out`/model.onnx, uint8 in and out, and `out`/ranges.json: what was chosen for each tensor.

    Weights and grids are those of the folder `prepared`, where `tune` left some. Else the grids come
    off `histograms` as `ranges`, `share` and `bypass` say, and the weights from the file `rounded`, if any;
    these ask for the card's range of the tensor that taps are joined with. `narrowed` must be what
    `tune` was told; without its folder there are no ranges for what `narrow` makes.
    Equal inputs give equal bytes. InputError where `histograms` are not those of `float_model`.
    """
    network = fold(read_network(float_model))
    floats: frozenset[str] = frozenset()
    if prepared and (prepared / tuned.WEIGHTS).exists():
        network = narrow(network) if narrowed else network
        network, chosen, floats = tuned.load(prepared, network, bypass=bypass)
    elif narrowed:
        raise InputError(
            f"{prepared or out}: narrow is built with what tune leaves, and there is nothing; run it"
        )
    else:
        network = bypass_trunk(network) if bypass else network
        chosen = (swept_grids if rounded else calibrated_grids)(network, histograms, ranges)
        if share:
            chosen |= {name: chosen[owner] for name, owner in shared_grids(network).items()}
        network = regrid(network, chosen)
        if rounded:
            network = tuned.load_weights(rounded, network)
    options = {"precision": "mixed" if floats else "int8", "ranges": ranges.method}
    options |= {"percentile": f"{ranges.percentile:g}"}
    if floats:
        macs, activations = shares(network, floats)
        options |= {"float_mac_share": f"{macs:.6f}", "float_byte_share": f"{activations:.6f}"}
    model = qdq_model(network, all_grids(network, chosen), network.metadata | options, floats=floats)
    with atomic(out / "model.onnx") as temporary:
        temporary.write_bytes(model.SerializeToString(deterministic=True))
    write_json(out / "ranges.json", {name: _entry(chosen[name]) for name in chosen})


def all_grids(network: Network, measured_grids: Mapping[str, Grid]) -> dict[str, Grid]:
    """The grid of every tensor: an image's own, a shuffle's or join's its input's, others as measured."""
    grids = {IMAGE: IMAGE_GRID}
    grids |= dict.fromkeys(ends_on_image(network), IMAGE_GRID)
    grids |= measured_grids
    for layer in network.layers:
        if isinstance(layer, Plane | Shuffle | Join):
            grids[layer.name] = grids[layer.inputs[0]]
        elif isinstance(layer, Taps):
            grids[layer.name] = Grid(layer.scale, layer.zero_point)
    return grids


def _entry(chosen: Grid) -> dict[str, float]:
    low, high = (chosen.scale * (code - chosen.zero_point) for code in (0, STEPS))
    return {"low": low, "high": high, "scale": chosen.scale, "zero_point": chosen.zero_point}
