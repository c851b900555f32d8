"""A quantized network -> the int8 build: model.onnx and ranges.json."""

from pathlib import Path

from edsr_int8.files import write_json
from edsr_int8.onnx_file import write_onnx
from edsr_int8.quantization.ir.cost import high_precision_shares
from edsr_int8.quantization.ir.grid import Grid
from edsr_int8.quantization.ir.qdq_onnx import qdq_model
from edsr_int8.quantization.ir.scale_groups import all_grids
from edsr_int8.quantization.recipe import Recipe
from edsr_int8.quantization.scheme import DEFAULT
from edsr_int8.quantization.state import QuantizedNetwork


def quantize(state: QuantizedNetwork, recipe: Recipe, out: Path) -> None:
    """Write `out`/model.onnx, uint8 in and out, and `out`/ranges.json: the range chosen for each tensor.

    Equal inputs give equal bytes. The metadata of the graph says how it came about.
    """
    network, high_precision = state.network, state.high_precision
    metadata = network.metadata | {
        "precision": "mixed" if high_precision else "int8",
        "ranges": recipe.ranges,
    }
    if state.scheme != DEFAULT:
        metadata["scheme"] = state.scheme
    if recipe.percentile is not None:
        metadata["percentile"] = f"{recipe.percentile:g}"
    if high_precision:
        dtype = state.high_precision_dtype
        macs, activations = high_precision_shares(network, high_precision, dtype)
        if dtype != "float32":
            metadata["high_precision_dtype"] = dtype
        metadata["high_precision_mac_share"] = f"{macs:.6f}"
        metadata["high_precision_byte_share"] = f"{activations:.6f}"
    grids = all_grids(network, state.grids)
    model = qdq_model(
        network, grids, metadata, high_precision=state.in_float, wide=state.wide, scheme=state.scheme
    )
    write_onnx(model, out / "model.onnx")
    write_json(out / "ranges.json", {name: _entry(grid) for name, grid in state.grids.items()})


def _entry(grid: Grid) -> dict[str, float]:
    low, high = grid.range
    return {"low": low, "high": high, "scale": grid.scale, "zero_point": grid.zero_point}
