"""What a network computes, by an outside authority: ONNX's reference implementation, in float64."""

import numpy as np
from onnx.reference import ReferenceEvaluator

from edsr_int8.quantization.ir.float_onnx import float_model
from edsr_int8.quantization.ir.layers import IMAGE, Network


def nchw(image: np.ndarray, dtype: type) -> np.ndarray:
    return np.ascontiguousarray(image.transpose(2, 0, 1)[None], dtype)


def output(network: Network, image: np.ndarray) -> np.ndarray:
    """float64 NCHW, of a uint8 HWC image."""
    model = float_model(network.layers, [IMAGE], [network.layers[-1].name], dtype=np.float64)
    return ReferenceEvaluator(model).run(None, {IMAGE: nchw(image, np.float64)})[0]
