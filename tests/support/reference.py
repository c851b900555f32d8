"""What a network or a graph computes, by outside authorities."""

from pathlib import Path

import numpy as np
import onnxruntime as ort
from onnx import ModelProto
from onnx.reference import ReferenceEvaluator

from edsr_int8.onnx_session import session_options
from edsr_int8.quantization.ir.float_onnx import float_model
from edsr_int8.quantization.ir.layers import IMAGE, Network


def nchw(image: np.ndarray, dtype: type) -> np.ndarray:
    return np.ascontiguousarray(image.transpose(2, 0, 1)[None], dtype)


def output(network: Network, image: np.ndarray) -> np.ndarray:
    """By ONNX's reference implementation: float64 NCHW grey levels, of a uint8 HWC image."""
    model = float_model(network.layers, [IMAGE], [network.layers[-1].name], dtype=np.float64)
    centred = nchw(image, np.float64) - network.centre
    return ReferenceEvaluator(model).run(None, {IMAGE: centred})[0] + network.centre


def in_float32(network: Network, image: np.ndarray) -> np.ndarray:
    """By onnxruntime: float32 NCHW, of a uint8 HWC image."""
    return by_onnxruntime(float_model(network.layers, [IMAGE], [network.layers[-1].name]), image)


def by_onnxruntime(graph: ModelProto | Path, image: np.ndarray) -> np.ndarray:
    """NCHW in the type of the graph's output, of a uint8 HWC image; on one thread."""
    source = graph if isinstance(graph, Path) else graph.SerializeToString()
    session = ort.InferenceSession(source, session_options(threads=1), providers=["CPUExecutionProvider"])
    dtype = np.float32 if "float" in session.get_inputs()[0].type else np.uint8
    return session.run(None, {IMAGE: nchw(image, dtype)})[0]
