"""What several benchmarks measure on: real networks as the export stage writes them, real images.

Nothing but the standard library is imported ahead of use: some benchmarks measure a process's memory.
"""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"  # the weights and images that are not in the repository
SAMPLE = "edsr_x2_sample"  # this project's own, 1.4 M parameters
WEIGHTS = {
    "r8f64x2": "edsr_r8f64x2_official.pt",
    "mobile_f32b5x2": "edsr_mobile_f32b5x2.pt",  # MLPerf Mobile's
    SAMPLE: f"{SAMPLE}.pt",
}


def float_model(name: str, folder: Path, shared: Path = SHARED) -> Path:
    """Write the float graph of one of WEIGHTS into `folder`."""
    from edsr_int8.checkpoints.convert import convert, load_network
    from edsr_int8.export import float_graph
    from edsr_int8.models.description import Description
    from edsr_int8.onnx_file import write_onnx

    network = {
        "r8f64x2": Description("edsr", 64, 8, 2, 1.0, "pixelshuffle"),
        "mobile_f32b5x2": Description("edsr", 32, 5, 2, 1.0, "direct"),
        SAMPLE: Description("edsr", 64, 16, 2, 1.0, "pixelshuffle"),
    }[name]
    weights = (ROOT / "data" if name == SAMPLE else shared) / "weights" / WEIGHTS[name]
    convert(weights, "official", network, folder / "network")
    write_onnx(float_graph(*load_network(folder / "network")), folder / "float.onnx")
    return folder / "float.onnx"


def calibration_images(folder: Path, count: int, shared: Path = SHARED) -> list[Path]:
    """Write the first `count` photographs of BSD100, halved, into `folder`: all 240x160, portraits turned.

    onnxruntime's calibraters stop at a second shape.
    """
    import numpy as np

    from edsr_int8.data.degrade.bicubic import reduce
    from edsr_int8.data.images import read_rgb, write_png

    for path in sorted((shared / "data/BSD100/HR").glob("*.png"))[:count]:
        image = read_rgb(path)
        wide = image if image.shape[0] < image.shape[1] else np.rot90(image)
        write_png(folder / path.name, reduce(wide[:320, :480], 2))
    return sorted(folder.glob("*.png"))
