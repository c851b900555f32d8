"""From a float graph and its histograms to the int8 build: rewrites, ranges, QDQ graph. Takes seconds."""

from collections.abc import Mapping
from pathlib import Path

from edsr_int8.errors import InputError
from edsr_int8.files import atomic, write_json
from edsr_int8.quantization import state as tuned
from edsr_int8.quantization.analysis.mixed_precision import shares
from edsr_int8.quantization.calibration.quantization_parameters import (
    calibrated_grids,
    shared_grids,
    swept_grids,
)
from edsr_int8.quantization.calibration.range_estimators import IMAGE_GRID, STEPS, Grid
from edsr_int8.quantization.ir.layers import (
    IMAGE,
    Join,
    Network,
    Plane,
    Shuffle,
    Taps,
    ends_on_image,
    read_network,
)
from edsr_int8.quantization.ir.qdq_onnx import qdq_model
from edsr_int8.quantization.recipe import Recipe
from edsr_int8.quantization.rewrites.collapse_tail import narrow
from edsr_int8.quantization.rewrites.fold import fold
from edsr_int8.quantization.rewrites.fold_long_skip import bypass_trunk, regrid


def quantize(
    float_model: Path,
    histograms: Path,
    out: Path,
    recipe: Recipe,
    *,
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
        network = narrow(network) if recipe.collapse_tail else network
        network, chosen, floats = tuned.load(prepared, network, bypass=recipe.fold_long_skip)
    elif recipe.collapse_tail:
        raise InputError(
            f"{prepared or out}: narrow is built with what tune leaves, and there is nothing; run it"
        )
    else:
        network = bypass_trunk(network) if recipe.fold_long_skip else network
        chosen = (swept_grids if rounded else calibrated_grids)(network, histograms, recipe)
        if recipe.unify_scales:
            chosen |= {name: chosen[owner] for name, owner in shared_grids(network).items()}
        network = regrid(network, chosen)
        if rounded:
            network = tuned.load_weights(rounded, network)
    options = {"precision": "mixed" if floats else "int8", "ranges": recipe.ranges}
    if recipe.percentile is not None:
        options |= {"percentile": f"{recipe.percentile:g}"}
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
