"""Geometry and memory read off a graph, against arithmetic by hand."""

import math
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from tiny_build import Tiny, save
from tiny_qdq import FEATURES, write_edsr

from edsr_int8.errors import InputError
from edsr_int8.models.complexity import convolutions
from edsr_int8.models.description import Description
from edsr_int8.models.edsr import receptive_radius
from edsr_int8.targets.base import Unavailable
from edsr_int8.targets.execution.build import read_build


def test_geometry_and_memory_of_a_float_build(tiny: Tiny) -> None:
    build = read_build(tiny.path)
    assert (build.dtype, build.whole.scale, build.whole.radius) == ("float32", 2, 2)
    # The worst node is the second convolution, or the PixelShuffle, or what follows it at 2x2 the
    # pixels: each holds two tensors of 12 floats a pixel at most, the convolution 8 + 12.
    assert build.whole.bytes_per_pixel == 4 * (12 + 12)


def test_a_tensor_between_dequantize_and_quantize_counts_once_and_as_bytes(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("DequantizeLinear", ["image", "one", "zero"], ["x"]),
        helper.make_node("DequantizeLinear", ["codes", "one"], ["weight"]),
        helper.make_node("Conv", ["x", "weight"], ["y"], pads=[1, 1, 1, 1]),
        helper.make_node("QuantizeLinear", ["y", "one", "zero"], ["y8"]),
        helper.make_node("DequantizeLinear", ["y8", "one", "zero"], ["z"]),
        helper.make_node("DepthToSpace", ["z"], ["d"], blocksize=2, mode="CRD"),
        helper.make_node("QuantizeLinear", ["d", "one", "zero"], ["output"]),
    ]
    codes = np.zeros((12, 3, 3, 3), np.int8)
    save(tmp_path / "model.onnx", nodes, {"codes": codes, "one": np.float32(1), "zero": np.uint8(0)})
    build = read_build(tmp_path / "model.onnx")
    assert build.dtype == "int8"
    assert build.whole.bytes_per_pixel == 12 + 12  # the shuffle's uint8 input and output
    # The convolution's uint8 input and output, 27 unfolded bytes and 12 sums of 32 bits.
    assert build.whole.unfolded_bytes_per_pixel == 3 + 12 + 27 + 4 * 12


def test_what_is_no_build_is_refused(tmp_path: Path, tiny: Tiny) -> None:
    with pytest.raises(InputError, match=r"none\.onnx: not found"):
        read_build(tmp_path / "none.onnx")
    (tmp_path / "text.onnx").write_text("not a graph")
    with pytest.raises(InputError, match=r"text\.onnx: not a whole ONNX file"):
        read_build(tmp_path / "text.onnx")
    for element in ((TensorProto.FLOAT, TensorProto.UINT8), (TensorProto.UINT8, TensorProto.FLOAT)):
        ends = [helper.make_tensor_value_info(n, e, [1, 3, 8, 8]) for n, e in zip("io", element, strict=True)]
        graph = helper.make_graph(
            [helper.make_node("Cast", ["i"], ["o"], to=element[1])], "g", ends[:1], ends[1:]
        )
        (tmp_path / "float.onnx").write_bytes(helper.make_model(graph).SerializeToString())
        with pytest.raises(InputError, match=r"(takes|gives) float images"):
            read_build(tmp_path / "float.onnx")


def test_an_operation_of_unknown_receptive_field_cannot_be_tiled(foreign: Path) -> None:
    with pytest.raises(Unavailable, match=r"Unheard '': its receptive field is not known"):
        read_build(foreign)


def write_float_edsr(path: Path, description: Description) -> None:
    """The network that `description` describes, with weights of zero."""
    nodes = [helper.make_node("Cast", ["image"], ["x"], to=TensorProto.FLOAT)]
    constants: dict[str, np.ndarray] = {}
    x = "x"
    for c in convolutions(description):
        constants[c.name] = np.zeros((c.outputs, c.inputs, c.kernel, c.kernel), np.float32)
        y = f"{c.name}.y"
        nodes.append(helper.make_node("Conv", [x, c.name], [y], pads=[c.kernel // 2] * 4))
        if c.name.endswith("conv2"):
            nodes.append(helper.make_node("Add", [y, "head.y"], [f"{c.name}.sum"]))
            y = f"{c.name}.sum"
        factor = math.isqrt(c.outputs // (3 if c.name == "tail" else description.features))
        if factor > 1:
            nodes.append(helper.make_node("DepthToSpace", [y], [f"{y}.d"], blocksize=factor, mode="CRD"))
            y = f"{y}.d"
        x = y
    nodes.append(helper.make_node("Cast", [x], ["output"], to=TensorProto.UINT8))
    save(path, nodes, constants)


@pytest.mark.parametrize(
    "scale, network, upsampler",
    [(4, "edsr", "pixelshuffle"), (3, "mdsr", "pixelshuffle"), (2, "edsr", "direct"), (1, "edsr", "none")],
)
def test_the_receptive_field_is_that_of_the_description(
    scale: int, network: str, upsampler: str, tmp_path: Path
) -> None:
    description = Description(network, 8, 2, scale, 1.0, upsampler)
    write_float_edsr(tmp_path / "model.onnx", description)
    build = read_build(tmp_path / "model.onnx")
    assert (build.whole.scale, build.whole.radius) == (scale, receptive_radius(description))
    # Only a convolution on enlarged features is worth a subgraph of its own.
    assert len(build.subgraphs) == (2 if upsampler == "pixelshuffle" else 1)


def test_the_subgraphs_of_a_build_add_up(tmp_path: Path) -> None:
    write_edsr(tmp_path / "model.onnx", blocks=2)
    build = read_build(tmp_path / "model.onnx")
    features, enlarge = build.subgraphs
    assert (features.scale, features.radius, features.output_bytes) == (1, 1 + 4, FEATURES)
    assert (enlarge.scale, enlarge.radius) == (2, 2)  # a pixel, and a half
    # The long skip, a block's input, its inner tensor and its output; the shuffle's input and output.
    assert (features.bytes_per_pixel, enlarge.bytes_per_pixel) == (4 * FEATURES, 2 * 4 * FEATURES)


@pytest.mark.parametrize(
    "weight, attributes",
    [
        ((3, 3, 3, 3), {"pads": [2, 2, 0, 0]}),
        ((3, 3, 3, 3), {}),
        ((3, 3, 2, 2), {"pads": [1, 1, 0, 0]}),
        ((3, 3, 3, 3), {"pads": [1, 1, 1, 1], "dilations": [2, 2]}),
        ((3, 3, 3, 3), {"pads": [1, 1, 1, 1], "strides": [2, 2]}),
    ],
)
def test_a_convolution_that_moves_pixels_cannot_be_tiled(
    tmp_path: Path, weight: tuple[int, ...], attributes: dict[str, list[int]]
) -> None:
    write_conv(tmp_path / "model.onnx", np.zeros(weight, np.float32), **attributes)
    with pytest.raises(Unavailable, match=r"Conv '': tiles need stride 1, an odd kernel"):
        read_build(tmp_path / "model.onnx")


@pytest.mark.parametrize(
    "attributes, radius",
    [({"pads": [2, 2, 2, 2], "dilations": [2, 2]}, 2), ({"auto_pad": "SAME_UPPER"}, 1)],
)
def test_other_ways_to_keep_height_and_width(
    tmp_path: Path, attributes: dict[str, object], radius: int
) -> None:
    write_conv(tmp_path / "model.onnx", np.zeros((3, 3, 3, 3), np.float32), **attributes)
    assert read_build(tmp_path / "model.onnx").whole.radius == radius


def write_conv(path: Path, weight: np.ndarray, **attributes: object) -> None:
    nodes = [
        helper.make_node("Cast", ["image"], ["x"], to=TensorProto.FLOAT),
        helper.make_node("Conv", ["x", "w"], ["y"], **attributes),
        helper.make_node("Cast", ["y"], ["output"], to=TensorProto.UINT8),
    ]
    save(path, nodes, {"w": weight}, scale=1)


@pytest.mark.parametrize(
    "op, inputs, constants, attributes",
    [
        ("Concat", ["image", "image"], {}, {"axis": 2}),
        ("Pad", ["image", "pads"], {"pads": np.array([0, 0, 1, 0, 0, 1, 0, 0])}, {}),
        ("Add", ["image", "map"], {"map": np.zeros((8, 8), np.uint8)}, {}),
        ("Add", ["image", "row"], {"row": np.zeros(8, np.uint8)}, {}),
        ("Concat", ["image", "map"], {"map": np.zeros((1, 1, 8, 8), np.uint8)}, {"axis": 1}),
    ],
)
def test_what_differs_by_place_cannot_be_tiled(
    tmp_path: Path, op: str, inputs: list[str], constants: dict[str, np.ndarray], attributes: dict[str, int]
) -> None:
    save(tmp_path / "model.onnx", [helper.make_node(op, inputs, ["output"], **attributes)], constants)
    with pytest.raises(Unavailable, match=rf"{op} '': its receptive field is not known"):
        read_build(tmp_path / "model.onnx")


def test_a_dequantized_map_cannot_be_tiled(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("DequantizeLinear", ["map", "one"], ["real"]),
        helper.make_node("DequantizeLinear", ["image", "one"], ["x"]),
        helper.make_node("Add", ["x", "real"], ["y"], "shading"),
        helper.make_node("QuantizeLinear", ["y", "one", "zero"], ["output"]),
    ]
    constants = {"map": np.zeros((8, 8), np.uint8), "one": np.float32(1), "zero": np.uint8(0)}
    save(tmp_path / "model.onnx", nodes, constants)
    with pytest.raises(Unavailable, match=r"Add 'shading': its receptive field is not known"):
        read_build(tmp_path / "model.onnx")


def test_weights_may_come_by_a_constant_node_but_from_nowhere_else(tmp_path: Path) -> None:
    weight = numpy_helper.from_array(np.zeros((3, 3, 3, 3), np.float32))
    for maker, radius in (
        (helper.make_node("Constant", [], ["w"], value=weight), 1),
        (helper.make_node("ConstantOfShape", ["shape"], ["w"]), None),
    ):
        conv = helper.make_node("Conv", ["x", "w"], ["y"], "layer", pads=[1] * 4, dilations=[1, 1])
        ends = [
            helper.make_node("Cast", [a], [b], to=kind)
            for a, b, kind in (("image", "x", TensorProto.FLOAT), ("y", "output", TensorProto.UINT8))
        ]
        nodes = [maker, ends[0], conv, ends[1]]
        save(tmp_path / "model.onnx", nodes, {"shape": np.array([3, 3, 3, 3])}, scale=1)
        if radius:
            build = read_build(tmp_path / "model.onnx")
            assert (build.whole.radius, build.weight_bytes) == (radius, 4 * 81 + 8 * 4)
        else:
            with pytest.raises(Unavailable, match=r"Conv 'layer': its weights are no constants of the file"):
                read_build(tmp_path / "model.onnx")


def test_a_missing_file_of_weights_is_named(tiny: Tiny, tmp_path: Path) -> None:
    onnx.save(
        onnx.load(tiny.path), tmp_path / "model.onnx",
        save_as_external_data=True, size_threshold=0, location="weights.bin",
    )  # fmt: skip
    (tmp_path / "weights.bin").unlink()
    with pytest.raises(InputError, match=r"model\.onnx: not a whole ONNX file .*weights\.bin"):
        read_build(tmp_path / "model.onnx")


def test_a_file_cut_to_nothing_and_a_tensor_that_nothing_makes_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.onnx").write_bytes(b"")
    with pytest.raises(InputError, match=r"empty\.onnx: .*an empty graph, or a file cut short"):
        read_build(tmp_path / "empty.onnx")
    save(tmp_path / "model.onnx", [helper.make_node("Relu", ["nothing"], ["output"])], {})
    with pytest.raises(InputError, match=r"model\.onnx: .*'nothing'.*not output of any previous nodes"):
        read_build(tmp_path / "model.onnx")


def test_weights_in_a_file_of_their_own_count(tiny: Tiny, tmp_path: Path) -> None:
    onnx.save(onnx.load(tiny.path), tmp_path / "model.onnx", save_as_external_data=True, size_threshold=0)
    assert read_build(tmp_path / "model.onnx").weight_bytes == read_build(tiny.path).weight_bytes
    assert read_build(tiny.path).weight_bytes == 4 * (8 * 3 * 9 + 12 * 8 * 9 + 3)


def test_a_constant_of_any_length_is_not_computed(tmp_path: Path) -> None:
    """A runtime would make it when it loads the graph: 40 GB of a file of 300 bytes."""
    nodes = [
        helper.make_node("ConstantOfShape", ["shape"], ["long"], "maker"),
        helper.make_node("Identity", ["image"], ["output"]),
    ]
    save(tmp_path / "model.onnx", nodes, {"shape": np.array([10**10])}, scale=1)
    with pytest.raises(Unavailable, match="ConstantOfShape 'maker': computes a constant"):
        read_build(tmp_path / "model.onnx")
