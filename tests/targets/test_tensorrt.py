"""TensorRT's form: the same pixels, every rule of explicit quantization held, and what breaks one found."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto, numpy_helper
from tiny_build import photograph
from tiny_qdq import write_edsr

from edsr_int8.__main__ import main
from edsr_int8.errors import InputError
from edsr_int8.onnx_file import read_onnx
from edsr_int8.quantization.ir.grid import Grid
from edsr_int8.quantization.ir.layers import Add, Conv, Network, PixelShuffle
from edsr_int8.quantization.ir.scale_groups import calibrated
from edsr_int8.quantization.quantize import quantize
from edsr_int8.quantization.recipe import Recipe
from edsr_int8.quantization.rewrites.centre import centre_image
from edsr_int8.quantization.rewrites.fold_long_skip import fold_long_skip
from edsr_int8.quantization.state import QuantizedNetwork
from edsr_int8.targets.base import open_target
from edsr_int8.targets.row import TargetRow
from edsr_int8.targets.tensorrt import tensorrt_form, trtexec_command, violations, write_tensorrt


def network() -> Network:
    """x2 with 8 features and one block."""
    random = np.random.default_rng(0)

    def conv(name: str, source: str, inputs: int, outputs: int, *limits: float) -> Conv:
        weight = random.normal(0, 0.5 / np.sqrt(9 * inputs), (outputs, inputs, 3, 3))
        return Conv(name, (source,), weight, random.normal(0, 3, outputs), *limits)

    layers = (
        conv("head", "image", 3, 8),
        conv("body.0.conv1", "head", 8, 8, 0, np.inf),
        conv("body.0.conv2", "body.0.conv1", 8, 8),
        Add("body.0.add", ("head", "body.0.conv2")),
        conv("body_end", "body.0.add", 8, 8),
        Add("body_end.add", ("head", "body_end")),
        conv("upsample", "body_end.add", 8, 32),
        PixelShuffle("shuffle", ("upsample",), 2),
        conv("tail", "shuffle", 8, 3),
    )
    return Network(layers, {"receptive_radius": "6", "scale": "2"})


@pytest.fixture
def made(tmp_path: Path) -> Callable[[str], Path]:
    def build(scheme: str) -> Path:
        recipe = Recipe("int8", "percentile", 99.9, scheme=scheme)  # type: ignore[arg-type]
        centred = scheme != "int8_asymmetric"
        folded = fold_long_skip(centre_image(network()) if centred else network())
        grids = {name: Grid(0.5, 128) for name in calibrated(folded)}
        if not centred:
            grids["body.0.conv1"] = Grid(0.5, 0)
        state = QuantizedNetwork(folded, scheme=recipe.scheme).on_grids(grids)
        quantize(state, recipe, tmp_path / scheme)
        return tmp_path / scheme / "model.onnx"

    return build


def pixels(model: Path) -> np.ndarray:
    image = np.ascontiguousarray(photograph(20, 28).transpose(2, 0, 1)[None])
    return open_target(TargetRow("onnxruntime", threads=1)).load(model)(image)


@pytest.mark.parametrize("scheme", ["int8_symmetric", "int8_power_of_two"])
def test_the_form_holds_every_rule_and_every_pixel(made: Callable[[str], Path], scheme: str) -> None:
    model = made(scheme)
    written = tensorrt_form(read_onnx(model))
    onnx.checker.check_model(written, full_check=True)
    assert not list(violations(written))
    kinds = {t.name: t.data_type for t in written.graph.initializer}
    assert TensorProto.UINT8 not in kinds.values() and TensorProto.INT32 not in kinds.values()
    inside = [
        n.op_type for n in written.graph.node if n.op_type not in ("QuantizeLinear", "DequantizeLinear")
    ]
    assert [inside[0], inside[-1]] == ["Cast", "Cast"] and inside.count("Relu") == 1
    onnx.save(written, model.with_name("tensorrt.onnx"))
    found, shipped = pixels(model.with_name("tensorrt.onnx")), pixels(model)
    assert shipped.std() > 5
    assert (found != shipped).mean() < 0.01 and np.abs(found.astype(int) - shipped).max() <= 1  # ties


def broken(model: ModelProto, change: Callable[[ModelProto], None]) -> list[str]:
    copy = ModelProto()
    copy.CopyFrom(model)
    change(copy)
    return list(violations(copy))


def zero_point_of(kind: type, value: int) -> Callable[[ModelProto], None]:
    def change(model: ModelProto) -> None:
        tensor = next(t for t in model.graph.initializer if t.name == "head.round.zero_point")
        tensor.CopyFrom(numpy_helper.from_array(np.array(value, kind), tensor.name))

    return change


def one_scale(model: ModelProto) -> None:
    tensor = next(t for t in model.graph.initializer if t.name == "tail.weight.scale")
    tensor.CopyFrom(numpy_helper.from_array(np.float32([1]), tensor.name))


def undone(op: str) -> Callable[[ModelProto], None]:
    """The first `op` reads what comes before its DequantizeLinear, or is read before its QuantizeLinear."""

    def change(model: ModelProto) -> None:
        makers = {node.output[0]: node for node in model.graph.node}
        node = next(n for n in model.graph.node if n.op_type == op)
        node.input[0] = makers[node.input[0]].input[0]

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (zero_point_of(np.int8, 3), "'head.round': zero point int8 3"),
        (zero_point_of(np.uint8, 0), "'head.round': zero point uint8 0"),
        (one_scale, "Conv 'tail': its weights have no scale for each output channel"),
        (undone("Conv"), "its image is not dequantized"),
        (undone("DepthToSpace"), "DepthToSpace 'shuffle': moves what is not dequantized"),
        (undone("Concat"), "Concat 'image.join': moves what is not dequantized"),
    ],
)
def test_what_breaks_a_rule_is_found_by_its_node(
    made: Callable[[str], Path], change: Callable[[ModelProto], None], words: str
) -> None:
    written = tensorrt_form(read_onnx(made("int8_symmetric")))
    assert any(words in line for line in broken(written, change))


def test_an_int32_bias_is_found(made: Callable[[str], Path]) -> None:
    lines = list(violations(read_onnx(made("int8_symmetric"))))
    assert any("its bias is no float" in line for line in lines)


def test_a_build_with_zero_points_is_refused(made: Callable[[str], Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"zero point 0 alone, not int8_asymmetric; .*scheme: int8_power"):
        write_tensorrt(made("int8_asymmetric"), tmp_path / "out", height=16, width=16)
    write_edsr(tmp_path / "uint8.onnx")
    with pytest.raises(InputError, match=r"not uint8_asymmetric"):
        write_tensorrt(tmp_path / "uint8.onnx", tmp_path / "out", height=16, width=16)
    assert not (tmp_path / "out").exists()


def test_the_command_writes_the_graph_and_says_how_to_compile_it(
    made: Callable[[str], Path], tmp_path: Path
) -> None:
    build, out = str(made("int8_symmetric")), tmp_path / "out"
    assert main(["bundle", build, str(out), "--target", "tensorrt", "--height", "96", "--width", "64"]) == 0
    assert " ".join(trtexec_command(96, 64)) in (out / "README.md").read_text(encoding="utf-8")
    assert "--shapes=image:1x3x96x64" in trtexec_command(96, 64)
    assert not list(violations(read_onnx(out / "model.onnx")))
    assert main(["bundle", build, str(out), "--target", "npu", "--height", "20", "--width", "28"]) == 0
    assert np.array_equal(pixels(out / "model.onnx"), pixels(Path(build)))
