"""Whether the calibration images cover what the evaluation images drive through a network."""

from collections.abc import Sequence
from pathlib import Path

from edsr_int8.cluster.work import Executor
from edsr_int8.data.images import Image
from edsr_int8.quantization.calibration.histogram import Histogram, distribution, load
from edsr_int8.quantization.calibration.observe import HERE, observe_network
from edsr_int8.quantization.calibration.range_estimators import percentile_range
from edsr_int8.quantization.ir.read_onnx import read_network
from edsr_int8.quantization.ir.scale_groups import calibrated
from edsr_int8.quantization.rewrites.fold import fold

IMAGES = 8  # evaluation images that are looked at, ...
SIDE = 128  # ... and of each at most so many pixels each way, from its middle: seconds for any network
PERCENTILE = 99.999  # of the calibration images: as in the model card, whatever a row of precisions says


def measure_coverage(
    float_model: Path, histograms: Path, images: Sequence[Path], *, executor: Executor = HERE
) -> dict[str, float]:
    """Tensor -> the share of its values on evaluation images that its calibrated range clips.

    `histograms` are those that `observe` wrote of `float_model` over the calibration images. On these, the
    share is at most 2e-5. InputError where the two files do not belong together.
    """
    network = fold(read_network(float_model))
    calibration = load(histograms, weights_sha256=network.weights_sha256)
    seen = observe_network(
        network, calibrated(network), spread(images, IMAGES), cut=middle, executor=executor
    )
    ranges = {name: percentile_range(calibration[name], PERCENTILE) for name in seen}
    return {name: clipped_share(seen[name], *ranges[name]) for name in seen}


def clipped_share(histogram: Histogram, low: float, high: float) -> float:
    """The share of a tensor's values that lie outside low..high; exact to the width of a bin."""
    values, counts = distribution(histogram)
    return float(counts[(values < low) | (values > high)].sum() / counts.sum())


def spread(images: Sequence[Path], most: int) -> list[Path]:
    """At most `most` of the images, evenly spread over all."""
    count = min(most, len(images))
    return [images[i * len(images) // count] for i in range(count)]


def middle(image: Image) -> Image:
    """At most SIDE pixels each way from the middle of a uint8 HWC RGB image."""
    top, left = (max(0, length - SIDE) // 2 for length in image.shape[:2])
    return image[top : top + SIDE, left : left + SIDE]
