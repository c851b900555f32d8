"""Exported graphs against torch, in two runtimes and at several shapes; what the files hold, and what not."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from foreign_checkpoints import official_state
from skimage import data
from torch import nn

from edsr_int8.checkpoints.convert import convert
from edsr_int8.checkpoints.facts import NetworkFacts
from edsr_int8.errors import InputError
from edsr_int8.export import TOLERANCE, export, float_graph, parity, require_parity, run
from edsr_int8.models.build import build
from edsr_int8.models.description import NO_MEAN, Description
from edsr_int8.onnx_file import write_onnx
from edsr_int8.onnx_graph import uint8_graph

X2 = Description("edsr", 8, 2, 2, 1.0, "pixelshuffle")
NETWORKS = {
    "x2": X2,
    "x3": replace(X2, scale=3),
    "x4": replace(X2, scale=4, res_scale=0.1),
    "direct": replace(X2, upsampler="direct"),
    "none": replace(X2, upsampler="none", scale=1),
    "x8 without a mean": replace(X2, scale=8, blocks=1, rgb_mean=NO_MEAN),
    "mdsr": replace(X2, network="mdsr", blocks=1),
}
SHAPES = ((24, 32), (17, 9), (1, 1))
BLOCK = ("conv1", "conv1.relu", "conv2", "conv2.add")
UP = ["upsample.0", "upsample.0.shuffle"]
BODY = ["head", *(f"body.{i}.{node}" for i in range(2) for node in BLOCK), "body_end", "body_end.add"]
NODES = {
    "x2": ["sub_mean", *BODY, *UP, "tail", "add_mean"],
    "x4": ["sub_mean", *BODY, *UP, "upsample.1", "upsample.1.shuffle", "tail", "add_mean"],
    "direct": [*BODY, "tail", "tail.clip", "tail.shuffle"],
    "none": ["sub_mean", *BODY, "tail", "add_mean"],
}  # fmt: skip


def facts_of(description: Description) -> NetworkFacts:
    facts = {"params": 1, "macs_per_pixel": 1, "receptive_radius": 7, "weights_sha256": "0a"}
    return NetworkFacts(**asdict(description), source="official", **facts)


def photograph(height: int, width: int) -> np.ndarray:
    """uint8 HWC RGB, of a face."""
    return data.astronaut()[100 : 100 + height, 180 : 180 + width]


def nchw(image: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(image.transpose(2, 0, 1)[None])


class Exported:
    """One network with its two graphs."""

    def __init__(self, description: Description) -> None:
        torch.manual_seed(0)
        self.network = build(description).eval()
        self.float_model = float_graph(self.network, facts_of(description))
        self.uint8_model = uint8_graph(self.float_model)

    def parity(self, image: np.ndarray) -> dict[str, float]:
        return parity(self.network, self.float_model, self.uint8_model, image)

    def torch(self, image: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return self.network(torch.from_numpy(nchw(image)).float()).numpy()


@pytest.fixture(scope="module")
def exported() -> dict[str, Exported]:
    return {name: Exported(description) for name, description in NETWORKS.items()}


@pytest.mark.parametrize("name", NETWORKS)
def test_onnxruntime_computes_what_torch_does_at_any_shape(name: str, exported: dict[str, Exported]) -> None:
    for shape in SHAPES:
        result = exported[name].parity(photograph(*shape))
        require_parity(result, name)
        assert result["equal_share"] > 0.99 and result["max_difference"] <= 1
        assert (result["height"], result["width"]) == shape


@pytest.mark.parametrize("name", NETWORKS)
def test_openvino_computes_what_torch_does_at_any_shape(name: str, exported: dict[str, Exported]) -> None:
    openvino = pytest.importorskip("openvino")
    core, made = openvino.Core(), exported[name]
    for shape in SHAPES:
        image, reference = photograph(*shape), made.torch(photograph(*shape))
        for model, pixels in ((made.float_model, np.float32), (made.uint8_model, np.uint8)):
            compiled = core.compile_model(
                core.read_model(model.SerializeToString()), "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
            )
            output = compiled(nchw(image).astype(pixels))[0]
            wanted = reference if pixels is np.float32 else np.rint(reference.clip(0, 255))
            assert output.shape == reference.shape and output.dtype == pixels
            difference = np.abs(output.astype(np.float32) - wanted)
            assert difference.max() <= (TOLERANCE if pixels is np.float32 else 1)


@pytest.mark.parametrize("name", NODES)
def test_nodes_are_the_layers(name: str, exported: dict[str, Exported]) -> None:
    nodes = exported[name].float_model.graph.node
    scales = {f"body.{i}.conv2.scale" for i in range(2)} if NETWORKS[name].res_scale != 1 else set()
    assert [node.name for node in nodes if node.name not in scales] == NODES[name]
    assert scales <= {node.name for node in nodes}


@pytest.mark.parametrize("name", NETWORKS)
def test_the_weights_in_the_graph_are_the_networks_by_name(name: str, exported: dict[str, Exported]) -> None:
    stored = {t.name: onnx.numpy_helper.to_array(t) for t in exported[name].float_model.graph.initializer}
    for parameter, tensor in exported[name].network.state_dict().items():
        np.testing.assert_array_equal(stored[parameter], tensor.numpy())


@pytest.mark.parametrize("name", NETWORKS)
def test_pixelshuffle_is_torchs(name: str, exported: dict[str, Exported]) -> None:
    shuffles = [n for n in exported[name].float_model.graph.node if n.op_type == "DepthToSpace"]
    modes = {onnx.helper.get_node_attr_value(node, "mode") for node in shuffles}
    assert modes == (set() if name == "none" else {b"CRD"})


@pytest.mark.parametrize(("graph", "kind"), [("float_model", "FLOAT"), ("uint8_model", "UINT8")])
def test_ends_are_named_and_typed(graph: str, kind: str, exported: dict[str, Exported]) -> None:
    model = getattr(exported["x3"], graph)
    ends = {"image": ["height", "width"], "output": ["3*height", "3*width"]}
    for value in (*model.graph.input, *model.graph.output):
        tensor = value.type.tensor_type
        batch, channels, *lengths = tensor.shape.dim
        assert tensor.elem_type == onnx.TensorProto.DataType.Value(kind)
        assert (batch.dim_value, channels.dim_value) == (1, 3)
        assert [length.dim_param for length in lengths] == ends.pop(value.name)
    assert not ends


@pytest.mark.parametrize("graph", ["float_model", "uint8_model"])
def test_files_hold_facts_and_no_traces(graph: str, exported: dict[str, Exported]) -> None:
    model = getattr(exported["x2"], graph)
    content = model.SerializeToString()
    assert b"torch" not in content and b".py" not in content and b"pkg" not in content
    assert (model.producer_name, model.producer_version) == ("edsr-int8", "")
    assert (model.ir_version, [(o.domain, o.version) for o in model.opset_import]) == (10, [("", 18)])
    facts = {"source": "official", "network": "edsr", "scale": "2", "receptive_radius": "7"}
    found = {entry.key: entry.value for entry in model.metadata_props}
    assert found == facts | {"weights_sha256": "0a"}


def test_a_second_export_gives_the_same_bytes(exported: dict[str, Exported], tmp_path: Path) -> None:
    again = Exported(NETWORKS["x2"])
    for number, model in enumerate((exported["x2"].uint8_model, again.uint8_model)):
        write_onnx(model, tmp_path / f"{number}.onnx")
    assert (tmp_path / "0.onnx").read_bytes() == (tmp_path / "1.onnx").read_bytes()


def test_biases_of_zero_stay_in_the_graph() -> None:
    network = build(X2).eval()
    for name, parameter in network.named_parameters():
        if name.endswith("bias"):
            nn.init.zeros_(parameter)
    model = float_graph(network, facts_of(X2))
    convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
    assert all(node.input[2] == f"{node.name}.bias" for node in convolutions)
    result = parity(network, model, uint8_graph(model), photograph(9, 11))
    require_parity(result, "zero biases")


def test_another_network_fails_parity(exported: dict[str, Exported]) -> None:
    other = build(X2).eval()
    result = parity(other, exported["x2"].float_model, exported["x2"].uint8_model, photograph(9, 11))
    with pytest.raises(InputError, match=r"^some row: .* differs from torch by .* grey levels"):
        require_parity(result, "some row")


def test_an_output_that_is_no_number_fails_parity(exported: dict[str, Exported]) -> None:
    result = {"max_abs_error": float("nan"), "uint8_mismatches": 0}
    with pytest.raises(InputError, match="by nan grey levels"):
        require_parity(result, "some row")


def test_a_uint8_graph_that_truncates_fails_parity(exported: dict[str, Exported]) -> None:
    truncating = onnx.ModelProto()
    truncating.CopyFrom(exported["x2"].uint8_model)
    next(node for node in truncating.graph.node if node.op_type == "Round").op_type = "Floor"
    result = parity(exported["x2"].network, exported["x2"].float_model, truncating, photograph(9, 11))
    with pytest.raises(InputError, match=r"does not round the float graph's output at \d+ values"):
        require_parity(result, "some row")


@pytest.mark.parametrize(
    "other", [nn.Sequential(nn.BatchNorm2d(3)), nn.Sequential(nn.Conv2d(3, 3, 1), nn.Tanh())]
)
def test_what_no_edsr_does_is_refused_by_name(other: nn.Module) -> None:
    with pytest.raises(TypeError, match=r"^(BatchNorm2d|Tanh)\(.*\): no operation of an EDSR$"):
        float_graph(other, facts_of(X2))


def test_the_stage_writes_graphs_and_parity(tmp_path: Path) -> None:
    torch.save(official_state(X2, seed=0), tmp_path / "weights.pt")
    convert(tmp_path / "weights.pt", "official", X2, tmp_path / "network")
    export(tmp_path / "network", photograph(20, 21), tmp_path / "export")
    names = {path.name for path in (tmp_path / "export").iterdir()}
    assert names == {"float.onnx", "uint8.onnx", "parity.json"}
    assert json.loads((tmp_path / "export" / "parity.json").read_text())["max_abs_error"] <= TOLERANCE


def test_one_network_in_two_layouts_gives_equal_images(shared: Path, tmp_path: Path) -> None:
    description = Description("edsr", 64, 8, 2, 1.0, "pixelshuffle")
    files = {"official": "edsr_r8f64x2_official.pt", "basicsr": "EDSR_Sx2_f64b8_basicsr.pth"}
    image, outputs = photograph(41, 52), []
    for source, name in files.items():
        convert(shared / "weights" / name, source, description, tmp_path / source)
        export(tmp_path / source, image, tmp_path / source)
        outputs.append(run(onnx.load(tmp_path / source / "float.onnx"), nchw(image).astype(np.float32)))
    np.testing.assert_array_equal(*outputs)


def test_a_real_direct_network_enlarges_a_photograph(shared: Path, tmp_path: Path) -> None:
    description = Description("edsr", 32, 5, 2, 1.0, "direct")
    convert(shared / "weights" / "edsr_mobile_f32b5x2.pt", "official", description, tmp_path)
    original = photograph(64, 64)
    reduced = original.reshape(32, 2, 32, 2, 3).mean((1, 3)).round().astype(np.uint8)
    export(tmp_path, reduced, tmp_path)
    enlarged = run(onnx.load(tmp_path / "uint8.onnx"), nchw(reduced))[0].transpose(1, 2, 0)
    nearest = reduced.repeat(2, axis=0).repeat(2, axis=1)
    error, of_nearest = (((image.astype(float) - original) ** 2).mean() for image in (enlarged, nearest))
    assert error < of_nearest
