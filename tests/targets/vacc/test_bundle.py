"""The vendor's compile folder, field by field against its public deployment notes."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import yaml
from tiny_build import photograph, write_float

from edsr_int8.data.images import write_png
from edsr_int8.errors import InputError
from edsr_int8.targets.vacc.bundle.config import AcceleratorModel
from edsr_int8.targets.vacc.bundle.inputs import accelerator_inputs
from edsr_int8.targets.vacc.bundle.write import absolute_list, write_bundle

# Rows of the model card: source, scale, height, width.
CARD_ROWS = {
    "EDSR_Mx2": ("basicsr", 2, 768, 1024),
    "EDSR_x1": ("basicsr", 1, 720, 1280),
    "EDSR_baseline_x2": ("official", 2, 256, 256),
}


@dataclass(frozen=True)
class Made:
    folder: Path
    model: AcceleratorModel
    float_model: Path


def make(folder: Path, model: AcceleratorModel) -> Made:
    """A bundle of a small graph, with three calibration images and two inputs."""
    folder.mkdir(exist_ok=True)
    write_float(folder / "float.onnx", scale=model.scale)
    for name in ("b", "a", "deep/c"):
        write_png(folder / "images" / "calibration" / f"{name}.png", photograph(20, 30))
    for name in ("y", "x"):
        write_png(folder / "images" / "card" / "photos" / "lr" / f"{name}.png", photograph(*model.shape))
    inputs = accelerator_inputs(folder / "images", ["photos"])
    write_bundle(model, folder / "float.onnx", folder / "images" / "calibration", inputs, folder / "out")
    return Made(folder / "out", model, folder / "float.onnx")


@pytest.fixture(scope="module", params=CARD_ROWS)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Made:
    source, scale, height, width = CARD_ROWS[request.param]
    model = AcceleratorModel(request.param, source, scale, (height, width))
    return make(tmp_path_factory.mktemp(request.param), model)


def test_the_compiler_is_told_what_the_notes_say(made: Made) -> None:
    config = yaml.safe_load((made.folder / "compile.yaml").read_text())
    source, _, height, width = CARD_ROWS[made.model.name]
    normalize = {"type": "Normalize", "norm_type": "None"}
    if source == "official":
        normalize["div255"] = False
    assert config == {
        "name": f"{made.model.name}_int8",
        "frontend": {
            "shape": {"input": [1, 3, height, width]}, "type": "onnx", "checkpoint": "model.onnx",
            "dtype": "fp32",
        },
        "backend": {
            "type": "tvm_vacc", "dtype": "int8",
            "compile": {"data_transport_mode": 1, "enable_graph_partition": True},
            "quantize": {"calibrate_mode": "percentile", "quantize_per_channel": True},
        },
        "dataset": {
            "type": "tvm", "path": "calibration", "sampler": {"suffix": "png", "get_data_num": 3},
            "process_ops": [
                {"type": "DecodeImage"}, {"type": "Resize", "size": [height, width]}, normalize,
                {"type": "ToTensor"},
            ],
        },
        "workspace": {"path": "./deploy_weights/"},
    }  # fmt: skip
    assert len(list((made.folder / config["dataset"]["path"]).glob("*.png"))) == 3


def test_the_accelerator_preprocesses_as_the_notes_say(made: Made) -> None:
    source, _, height, width = CARD_ROWS[made.model.name]
    assert json.loads((made.folder / "vdsp_params.json").read_text()) == {
        "OpType": "FUSION_OP_RGB_RESIZE_CVTCOLOR_NORM_TENSOR",
        "OpConfig": {
            "IimageFormat": "RGB_PLANAR", "IimageWidth": width, "IimageHeight": height,
            "OimageWidth": width, "OimageHeight": height,
            "IimageWidthPitch": width, "IimageHeightPitch": height,
            "Mean": [0, 0, 0], "Std": [1, 1, 1],
            "NormaType": {"basicsr": "DIV255_MINUSMEAN_DIVSTD", "official": "EQUAL"}[source],
            "ColorCvtCode": "NO_CHANGE", "ResizeType": "BILINEAR_CV",
        },
    }  # fmt: skip


def test_the_graph_has_the_fixed_shape(made: Made) -> None:
    _, scale, height, width = CARD_ROWS[made.model.name]
    graph = onnx.load(made.folder / "model.onnx").graph
    ends = [
        (v.name, [d.dim_value for d in v.type.tensor_type.shape.dim]) for v in (*graph.input, *graph.output)
    ]
    assert ends == [("input", [1, 3, height, width]), ("output", [1, 3, scale * height, scale * width])]


def test_inputs_are_planes_in_the_order_of_the_list(made: Made) -> None:
    lines = (made.folder / "npz_datalist.txt").read_text().splitlines()
    assert [Path(line).stem for line in lines] == ["x", "y"]
    with np.load(made.folder / lines[0]) as arrays:
        assert arrays.files == ["input_0"] and arrays["input_0"].dtype == np.uint8
        assert np.array_equal(arrays["input_0"], photograph(*made.model.shape).transpose(2, 0, 1))
    absolute = absolute_list(made.folder).read_text().splitlines()
    assert all(Path(line).is_absolute() and Path(line).is_file() for line in absolute)


def test_the_readme_has_the_three_commands(made: Made) -> None:
    _, _, height, width = CARD_ROWS[made.model.name]
    text = (made.folder / "README.md").read_text()
    commands = [line.strip() for line in text.splitlines() if line.startswith("    ")][:3]
    assert commands[0] == "vamc compile compile.yaml"
    assert commands[1].endswith('sed "s|^|$PWD/|" npz_datalist.txt > npz_datalist_here.txt')
    assert commands[2] == (
        f"vamp -m deploy_weights/{made.model.name}_int8/mod --vdsp_params vdsp_params.json -i 1 p 1 -b 1 "
        f'-s "[3,{height},{width}]" --datalist npz_datalist_here.txt --path_output npz_output'
    )


@pytest.mark.parametrize("source, unit", [("basicsr", 255.0), ("official", 1.0)])
def test_the_graph_computes_the_network_in_its_publishers_range(
    source: str, unit: float, tmp_path: Path
) -> None:
    made = make(tmp_path, AcceleratorModel("net", source, 2, (24, 32)))
    image = photograph(24, 32).transpose(2, 0, 1)[None].astype(np.float32)
    ours = onnxruntime.InferenceSession(made.float_model).run(None, {"image": image})[0]
    theirs = onnxruntime.InferenceSession(made.folder / "model.onnx").run(None, {"input": image / unit})[0]
    assert np.abs(theirs * np.float32(unit) - ours).max() < 1e-3  # grey levels


def test_equal_inputs_give_equal_bytes(tmp_path: Path) -> None:
    model = AcceleratorModel("net", "basicsr", 2, (24, 32))
    one, two = (make(tmp_path / name, model).folder for name in ("one", "two"))
    files = sorted(path.relative_to(one) for path in one.rglob("*") if path.is_file())
    assert len(files) == 1 + 1 + 3 + 2 + 1 + 1 + 1
    for file in files:
        assert (one / file).read_bytes() == (two / file).read_bytes(), file


def test_an_empty_calibration_set_is_refused(tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    with pytest.raises(InputError, match="none: holds no PNG"):
        model = AcceleratorModel("net", "official", 2, (8, 8))
        write_bundle(model, tmp_path / "x", tmp_path / "none", [], tmp_path / "o")
    assert not (tmp_path / "o").exists()
