"""What the vendor's tools are told about a model, field by field as in their public deployment notes.

https://github.com/Vastai/VastModelZOO, cv/super_resolution/edsr: build_in/build/*.yaml for the compiler,
build_in/vdsp_params/*.json for the preprocessing on the accelerator (IimageFormat is their spelling).
"""

from dataclasses import dataclass
from typing import Any

CONFIG, GRAPH, PREPROCESSING = "compile.yaml", "model.onnx", "vdsp_params.json"
CALIBRATION, INPUTS, DATALIST = "calibration", "npz", "npz_datalist.txt"
WORKSPACE = "./deploy_weights/"
INPUT, OUTPUT = "input", "output"  # tensors of the graph
INPUT_KEY, OUTPUT_KEY = "input_0", "output_0"  # arrays of the .npz files


@dataclass(frozen=True)
class AcceleratorModel:
    """A model as the accelerator runs it: for one shape, in its publisher's own range of values."""

    name: str
    source: str  # official: the graph takes and gives 0..255; basicsr: 0..1
    scale: int
    shape: tuple[int, int]  # height, width of the input, in pixels

    @property
    def unit_range(self) -> bool:
        """Whether the graph takes and gives 0..1, not 0..255."""
        return self.source == "basicsr"

    @property
    def deployed(self) -> str:
        """The name that the compiler gives it."""
        return f"{self.name}_int8"


def compile_config(model: AcceleratorModel, *, images: int) -> dict[str, Any]:
    """The config of `vamc compile`, with `images` calibration images. Paths are relative to the bundle."""
    normalize = {} if model.unit_range else {"div255": False}
    return {
        "name": model.deployed,
        "frontend": {
            "shape": {INPUT: [1, 3, *model.shape]},
            "type": "onnx",
            "checkpoint": GRAPH,
            "dtype": "fp32",
        },
        "backend": {
            "type": "tvm_vacc",
            "dtype": "int8",  # the accelerator crashes on fp16 graphs with PixelShuffle
            "compile": {"data_transport_mode": 1, "enable_graph_partition": True},
            "quantize": {"calibrate_mode": "percentile", "quantize_per_channel": True},
        },
        "dataset": {
            "type": "tvm",
            "path": CALIBRATION,
            "sampler": {"suffix": "png", "get_data_num": images},
            "process_ops": [
                {"type": "DecodeImage"},
                {"type": "Resize", "size": list(model.shape)},
                {"type": "Normalize", **normalize, "norm_type": "None"},
                {"type": "ToTensor"},
            ],
        },
        "workspace": {"path": WORKSPACE},
    }


def preprocessing(model: AcceleratorModel) -> dict[str, Any]:
    """From a uint8 RGB image to the graph's input, on the accelerator."""
    height, width = model.shape
    return {
        "OpType": "FUSION_OP_RGB_RESIZE_CVTCOLOR_NORM_TENSOR",
        "OpConfig": {
            "IimageFormat": "RGB_PLANAR",
            "IimageWidth": width,
            "IimageHeight": height,
            "OimageWidth": width,
            "OimageHeight": height,
            "IimageWidthPitch": width,
            "IimageHeightPitch": height,
            "Mean": [0.0, 0.0, 0.0],
            "Std": [1.0, 1.0, 1.0],
            "NormaType": "DIV255_MINUSMEAN_DIVSTD" if model.unit_range else "EQUAL",
            "ColorCvtCode": "NO_CHANGE",
            "ResizeType": "BILINEAR_CV",
        },
    }


def vamp_command(model: AcceleratorModel, *, datalist: str, outputs: str) -> list[str]:
    """The command that runs the compiled model over a list of .npz files."""
    height, width = model.shape
    prefix = f"{WORKSPACE.removeprefix('./')}{model.deployed}/mod"
    return [
        *("vamp", "-m", prefix, "--vdsp_params", PREPROCESSING, "-i", "1", "p", "1", "-b", "1"),
        *("-s", f"[3,{height},{width}]", "--datalist", datalist, "--path_output", outputs),
    ]
