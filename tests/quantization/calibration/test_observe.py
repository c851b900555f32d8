"""Calibration: against activations that another run of the network gives, and whatever the order of work."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from edsr_int8.cluster.in_process import InProcess
from edsr_int8.cluster.work import Executor
from edsr_int8.data.images import read_rgb, write_png
from edsr_int8.errors import InputError
from edsr_int8.onnx_file import read_onnx
from edsr_int8.quantization.calibration.histogram import Histogram, load, percentile
from edsr_int8.quantization.calibration.observe import observe, observe_network
from edsr_int8.quantization.ir.read_onnx import read_network
from edsr_int8.quantization.ir.scale_groups import calibrated
from edsr_int8.quantization.rewrites.fold import fold

ONE = InProcess(1)
Graphs = Callable[[str], Path]
RESOLUTION = 2**-8
PERCENTS = [0, 0.1, 1, 50, 99, 99.9, 100]


def observed(graph: Path, images: list[Path], out: Path, *, executor: Executor = ONE) -> dict[str, Histogram]:
    observe(graph, images, out, executor=executor)
    return load(out, weights_sha256="0a")


def activations(graph: Path, image: Path) -> dict[str, np.ndarray]:
    """Every inner tensor of the graph as it is, by ONNX's reference implementation."""
    model = onnx.load(graph)
    inner = [node.output[0] for node in model.graph.node if node.output[0] != "output"]
    model.graph.output.extend(helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in inner)
    pixels = read_rgb(image).transpose(2, 0, 1)[None].astype(np.float32)
    return dict(zip(inner, ReferenceEvaluator(model).run(inner, {"image": pixels}), strict=True))


# Histogram -> tensor of the graph: after a Relu, and after res_scale, where there is one.
TENSORS = {"head": "head", "body.0.conv1": "body.0.conv1.relu", "body.1.conv2": "body.1.conv2.scale"}
TENSORS |= {
    "body.1.conv2.add": "body.1.conv2.add",
    "body_end.add": "body_end.add",
    "upsample.1": "upsample.1",
}


@pytest.mark.parametrize(("name", "tensor"), TENSORS.items())
def test_percentiles_are_numpys(
    float_graphs: Graphs, images: list[Path], tmp_path: Path, name: str, tensor: str
) -> None:
    seen = observed(float_graphs("x4"), images, tmp_path / "h.npz")[name]
    values = np.concatenate([activations(float_graphs("x4"), image)[tensor].ravel() for image in images])
    assert seen.counts.sum() == values.size
    found = [percentile(seen, percent) for percent in PERCENTS]
    # Close to zero the rounding of two different forward passes shows.
    np.testing.assert_allclose(found, np.percentile(values, PERCENTS), rtol=RESOLUTION, atol=1e-3)


@pytest.mark.parametrize("name", ["x1", "x4", "direct", "mdsr"])
def test_every_tensor_that_int8_rounds_is_observed(
    float_graphs: Graphs, images: list[Path], tmp_path: Path, name: str
) -> None:
    seen = observed(float_graphs(name), images[:1], tmp_path / "h.npz")
    assert set(seen) == set(calibrated(fold(read_network(float_graphs(name)))))


def test_bytes_depend_on_neither_order_nor_threads(
    float_graphs: Graphs, images: list[Path], tmp_path: Path
) -> None:
    observe(float_graphs("x1"), images, tmp_path / "a.npz", executor=InProcess(1))
    observe(float_graphs("x1"), images[::-1], tmp_path / "b.npz", executor=InProcess(2))
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_histograms_of_subsets_add_up(float_graphs: Graphs, images: list[Path], tmp_path: Path) -> None:
    whole = observed(float_graphs("x1"), images, tmp_path / "a.npz")
    subsets = [observed(float_graphs("x1"), [image], tmp_path / "b.npz") for image in images]
    for name, seen in whole.items():
        total = subsets[0][name] + subsets[1][name] + subsets[2][name]
        assert (total.counts == seen.counts).all()
        assert (total.low, total.high) == (seen.low, seen.high)


def test_empty_set_is_refused(float_graphs: Graphs, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no calibration images"):
        observe(float_graphs("x1"), [], tmp_path / "h.npz")


def test_image_that_overflows_is_refused_and_nothing_written(
    float_graphs: Graphs, images: list[Path], tmp_path: Path
) -> None:
    def enlarge(model: ModelProto) -> None:
        weight = next(w for w in model.graph.initializer if w.name == "body.1.conv1.weight")
        huge = np.full(tuple(weight.dims), 3e38, np.float32)
        weight.CopyFrom(numpy_helper.from_array(huge, weight.name))

    model = read_onnx(float_graphs("x1"))
    enlarge(model)
    onnx.save(model, tmp_path / "m.onnx")
    with pytest.raises(InputError, match=r"0\.png: .*tensor body\.1\.conv1 holds NaN or infinity"):
        observe(tmp_path / "m.onnx", images, tmp_path / "h.npz", executor=InProcess(1))
    assert not (tmp_path / "h.npz").exists()


def test_a_tensor_of_many_chunks_is_counted_whole(
    float_graphs: Graphs, portrait: np.ndarray, tmp_path: Path
) -> None:
    """Several chunks of counting: more values in a tensor than are counted at a time."""
    write_png(tmp_path / "i.png", portrait)
    seen = observed(float_graphs("x4"), [tmp_path / "i.png"], tmp_path / "h.npz")
    assert seen["upsample.1"].counts.sum() == 4 * 32 * portrait.shape[0] * portrait.shape[1] > 2**21


def test_tiles_count_what_the_whole_image_holds(float_graphs: Graphs, images: list[Path]) -> None:
    network = fold(read_network(float_graphs("x1")))
    whole, tiled = (
        observe_network(network, calibrated(network), images, executor=InProcess(1), tile=tile)
        for tile in (1024, 23)
    )
    for name, seen in whole.items():
        assert np.array_equal(seen.counts, tiled[name].counts), name
        assert (seen.low, seen.high) == (tiled[name].low, tiled[name].high)
