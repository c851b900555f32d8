"""Time and peak memory of calibration, beside plain forward passes and onnxruntime's Percentile calibrater.

    python benchmarks/calibration_speed.py [--images 8] [--rounds 3] [--shared ../shared]

The network is the real EDSR r8f64x2, the images are BSD100's, halved; both lie in --shared. All are of one
shape, as onnxruntime's calibrater stops at a second one; it also keeps all activations of all images. Each
figure is the median over fresh processes, run in turns. Times include loading the graph, not the imports;
CPU time is the work, whatever else the machine does.
"""

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

from calibration_memory import CONTENDERS as OURS
from calibration_memory import Cost, cost, run_alone


def percentile_collection(graph: Path, images: list[Path]) -> None:
    """onnxruntime.quantization's calibrater, as quantize_static runs it."""
    import numpy as np
    from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, create_calibrator

    from edsr_int8.data.images import read_rgb

    class Reader(CalibrationDataReader):
        def __init__(self) -> None:
            self.left = iter(images)

        def get_next(self) -> dict[str, np.ndarray] | None:
            path = next(self.left, None)
            if path is None:
                return None
            return {"image": np.ascontiguousarray(read_rgb(path).transpose(2, 0, 1)[None], np.float32)}

    calibrator = create_calibrator(
        graph,
        augmented_model_path=str(graph.parent / "augmented.onnx"),
        calibrate_method=CalibrationMethod.Percentile,
        extra_options={"percentile": 99.999},
    )
    calibrator.collect_data(Reader())
    calibrator.compute_data()


CONTENDERS = {**OURS, "onnxruntime Percentile": percentile_collection}


def make_inputs(shared: Path, folder: Path, count: int) -> tuple[Path, list[Path]]:
    import numpy as np

    from edsr_int8.checkpoints.convert import convert, load_network
    from edsr_int8.data.bicubic import reduce
    from edsr_int8.data.images import read_rgb, write_png
    from edsr_int8.export import float_graph, save
    from edsr_int8.models.description import Description

    network = Description("edsr", features=64, blocks=8, scale=2, res_scale=1.0, upsampler="pixelshuffle")
    convert(shared / "weights/edsr_r8f64x2_official.pt", "official", network, folder / "network")
    save(float_graph(*load_network(folder / "network")), folder / "float.onnx")
    for path in sorted((shared / "data/BSD100/HR").glob("*.png"))[:count]:
        image = read_rgb(path)
        wide = image if image.shape[0] < image.shape[1] else np.rot90(image)
        write_png(folder / "images" / path.name, reduce(wide[:320, :480], 2))
    return folder / "float.onnx", sorted((folder / "images").iterdir())


def median(costs: list[Cost]) -> Cost:
    columns = zip(*((c.wall_s, c.cpu_s, c.peak_mb) for c in costs), strict=True)
    return Cost(*map(statistics.median, columns))


def main() -> None:
    parser = argparse.ArgumentParser(description="Calibration beside its alternatives")
    parser.add_argument("--images", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--shared", type=Path, default=Path(__file__).resolve().parents[2] / "shared")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        graph, images = make_inputs(options.shared, Path(name), options.images)
        rounds = [
            {contender: cost(__file__, contender, graph, images) for contender in CONTENDERS}
            for _ in range(options.rounds)
        ]
    plain = median([found["plain forward passes"] for found in rounds])
    print(f"{len(images)} images, median of {options.rounds}; in brackets: times that of plain passes")
    for contender in CONTENDERS:
        found = median([each[contender] for each in rounds])
        print(
            f"{contender:22s} wall {found.wall_s:6.2f} s ({found.wall_s / plain.wall_s:.2f})"
            f"   CPU {found.cpu_s:6.2f} s ({found.cpu_s / plain.cpu_s:.2f})"
            f"   peak {found.peak_mb:5.0f} MB ({found.peak_mb / plain.peak_mb:.2f})"
        )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--alone"]:
        run_alone(CONTENDERS)
    else:
        main()
