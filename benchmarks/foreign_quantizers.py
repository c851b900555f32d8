"""Other tools' int8 of a float graph: onnxruntime's three ways to calibrate, and NNCF's defaults.

The graph takes float32 RGB 0..255; clipping and rounding of its output stay outside, in float.
"""

import contextlib
import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)

from edsr_int8.data.images import read_rgb

# Images at a time, whose activations onnxruntime keeps all at once: 0.4 GB each (r8f64x2, 240x160).
LARGEST_STRIDE = 5


def planes(path: Path) -> np.ndarray:
    """float32 1x3xHxW."""
    return np.ascontiguousarray(read_rgb(path).transpose(2, 0, 1)[None], np.float32)


class Reader(CalibrationDataReader):
    """Images as onnxruntime's calibraters ask for them: a range at a time, one after the other."""

    def __init__(self, images: Sequence[Path]) -> None:
        self.images = images
        self.set_range(0, len(images))

    def __len__(self) -> int:
        return len(self.images)

    def set_range(self, start_index: int, end_index: int) -> None:
        self.left = iter(self.images[start_index:end_index])

    def get_next(self) -> dict[str, np.ndarray] | None:
        path = next(self.left, None)
        return None if path is None else {"image": planes(path)}


def onnxruntime_static(
    graph: Path, images: Sequence[Path], out: Path, method: CalibrationMethod, percentile: float = 99.999
) -> None:
    """QDQ, weights int8 per channel, activations uint8; MinMax, Percentile or Entropy."""
    out.parent.mkdir(parents=True, exist_ok=True)
    stride = max(n for n in range(1, LARGEST_STRIDE + 1) if len(images) % n == 0)  # it takes no rest
    with silence():
        quantize_static(
            graph,
            out,
            Reader(images),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=method,
            extra_options={"CalibPercentile": percentile, "CalibStridedMinMax": stride},
        )


def nncf_default(graph: Path, images: Sequence[Path], out: Path) -> None:
    """NNCF's post-training quantization of the ONNX graph by its defaults, over all images."""
    import nncf
    import onnx

    out.parent.mkdir(parents=True, exist_ok=True)
    with silence():
        data = nncf.Dataset(images, lambda path: {"image": planes(path)})
        onnx.save(nncf.quantize(onnx.load(graph), data, subset_size=len(images)), out)


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """The tools print as they go."""
    logging.disable(logging.WARNING)
    try:
        with open(os.devnull, "w", encoding="utf-8") as nowhere, contextlib.redirect_stdout(nowhere):
            yield
    finally:
        logging.disable(logging.NOTSET)
