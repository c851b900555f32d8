"""What the vendor's tools are told of a model, field by field as their public deployment notes have it.

https://github.com/Vastai/VastModelZOO, cv/super_resolution/edsr: build_in/build/*.yaml for the compiler,
build_in/vdsp_params/*.json for the preprocessing on the card, whose misspelt keys are meant.
"""

from dataclasses import dataclass
from typing import Any

CONFIG, GRAPH, PREPROCESSING = "compile.yaml", "model.onnx", "vdsp_params.json"
CALIBRATION, INPUTS, DATALIST = "calibration", "npz", "npz_datalist.txt"
WORKSPACE = "./deploy_weights/"
INPUT, OUTPUT = "input", "output"  # of the graph
INPUT_KEY, OUTPUT_KEY = "input_0", "output_0"  # of the .npz files


@dataclass(frozen=True)
class CardModel:
    """A model as the vendor's card runs it: for one shape, in its publisher's own range of values."""

    name: str
    source: str  # official: the graph takes and gives 0..255; basicsr: 0..1
    scale: int
    shape: tuple[int, int]  # height, width of the input

    @property
    def unit_range(self) -> bool:
        return self.source == "basicsr"

    @property
    def deployed(self) -> str:
        """The name under which the compiler keeps it."""
        return f"{self.name}_int8"


def compile_config(model: CardModel, *, images: int) -> dict[str, Any]:
    """For `vamc compile`, with `images` pictures to calibrate on. Paths are relative to the bundle."""
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
            "dtype": "int8",  # the card crashes on fp16 graphs with PixelShuffle
            "compile": {"data_transport_mode": 1, "enable_graph_partition": True},
            "quantize": {"calibrate_mode": "percentile", "quantize_per_channel": True},
        },
        "dataset": {
            "type": "tvm",
            "path": CALIBRATION,
            "sampler": {"suffix": "png", "get_data_num": images},
            "process_ops": [
                {"type": "DecodeImage"},
                {"type": "Resize", "size": list(model.shape)},  # their key
                {"type": "Normalize", **normalize, "norm_type": "None"},
                {"type": "ToTensor"},
            ],
        },
        "workspace": {"path": WORKSPACE},
    }


def preprocessing(model: CardModel) -> dict[str, Any]:
    """From a uint8 RGB image to the graph's input, on the card."""
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


def vamp_command(model: CardModel, *, datalist: str, outputs: str) -> list[str]:
    """Run the compiled model on the card over a list of .npz files."""
    height, width = model.shape
    prefix = f"{WORKSPACE.removeprefix('./')}{model.deployed}/mod"
    return [
        *("vamp", "-m", prefix, "--vdsp_params", PREPROCESSING, "-i", "1", "p", "1", "-b", "1"),
        *("-s", f"[3,{height},{width}]", "--datalist", datalist, "--path_output", outputs),
    ]
