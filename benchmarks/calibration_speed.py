"""Time and peak memory of calibration beside plain forward passes, onnxruntime's Percentile and NNCF.

    python benchmarks/calibration_speed.py [--images 8] [--rounds 3] [--shared ../shared]

The network is the real EDSR r8f64x2, the images are BSD100's, halved; both lie in --shared. All are of one
shape, as onnxruntime's calibrater stops at a second one; it also keeps all activations of all images. Each
figure is the median over fresh processes, run in turns. Times include loading the graph, not the imports;
CPU time is the work, whatever else the machine does.
"""

import argparse
import importlib.util
import statistics
import sys
import tempfile
from pathlib import Path

from calibration_memory import CONTENDERS as OURS
from calibration_memory import Cost, Work, cost, run_alone
from networks import SHARED, calibration_images, float_model


def percentile_collection(graph: Path, images: list[Path]) -> Work:
    """onnxruntime.quantization's calibrater, as quantize_static runs it."""
    from foreign_quantizers import Reader, silence
    from onnxruntime.quantization import CalibrationMethod, create_calibrator

    def work() -> None:
        calibrator = create_calibrator(
            graph,
            augmented_model_path=str(graph.parent / "augmented.onnx"),
            calibrate_method=CalibrationMethod.Percentile,
            extra_options={"percentile": 99.999},
        )
        with silence():
            calibrator.collect_data(Reader(images))
            calibrator.compute_data()

    return work


def nncf_quantize(graph: Path, images: list[Path]) -> Work:
    """All of it: NNCF does not separate calibration from the bias correction that follows."""
    from foreign_quantizers import nncf_default

    importlib.import_module("nncf")
    return lambda: nncf_default(graph, images, graph.parent / "nncf.onnx")


CONTENDERS = {**OURS, "onnxruntime Percentile": percentile_collection}
if importlib.util.find_spec("nncf"):
    CONTENDERS["nncf.quantize"] = nncf_quantize


def median(costs: list[Cost]) -> Cost:
    columns = zip(*((c.wall_s, c.cpu_s, c.peak_mb) for c in costs), strict=True)
    return Cost(*map(statistics.median, columns))


def main() -> None:
    parser = argparse.ArgumentParser(description="Calibration beside its alternatives")
    parser.add_argument("--images", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--shared", type=Path, default=SHARED)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        graph = float_model("r8f64x2", Path(name), options.shared)
        images = calibration_images(Path(name) / "images", options.images, options.shared)
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
