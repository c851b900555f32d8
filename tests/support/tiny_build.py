"""A network small enough to compute in a test. Its sums are exact, so all runtimes give the same bits."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch.nn import functional


@dataclass(frozen=True)
class Tiny:
    """Two 3x3 convolutions and a PixelShuffle: x2, receptive radius 2, integer weights."""

    path: Path
    weights: tuple[np.ndarray, ...]

    def expected(self, image: np.ndarray) -> np.ndarray:
        """The output for a uint8 NCHW image, computed by torch in float64."""
        first, second = (torch.from_numpy(w).double() for w in self.weights)
        x = functional.conv2d(torch.from_numpy(image).double(), first, padding=1).relu()
        x = functional.pixel_shuffle(functional.conv2d(x, second, padding=1), 2) / 4096
        return x.clamp(0, 255).round().byte().numpy()


def write_tiny(path: Path) -> Tiny:
    rng = np.random.default_rng(0)
    # Products of up to 16 bits, sums below 2^24: exact in float32, not in bfloat16.
    first = rng.integers(-40, 60, (8, 3, 3, 3)).astype(np.float32)
    second = rng.integers(-3, 4, (12, 8, 3, 3)).astype(np.float32)
    constants = {
        "w1": first,
        "w2": second,
        "unit": np.float32(1 / 4096),
        "low": np.float32(0),
        "high": np.float32(255),
    }
    nodes = [
        helper.make_node("Cast", ["image"], ["x"], to=TensorProto.FLOAT),
        helper.make_node("Conv", ["x", "w1"], ["a"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Conv", ["b", "w2"], ["c"], pads=[1, 1, 1, 1]),
        helper.make_node("DepthToSpace", ["c"], ["d"], blocksize=2, mode="CRD"),
        helper.make_node("Mul", ["d", "unit"], ["e"]),
        helper.make_node("Clip", ["e", "low", "high"], ["f"]),
        helper.make_node("Round", ["f"], ["g"]),
        helper.make_node("Cast", ["g"], ["output"], to=TensorProto.UINT8),
    ]
    save(path, nodes, constants)
    return Tiny(path, (first, second))


def save(
    path: Path,
    nodes: list[onnx.NodeProto],
    constants: dict[str, np.ndarray],
    *,
    channels: int = 3,
    scale: int = 2,
    radius: int = 2,
) -> None:
    """Write a graph from `image`, uint8 RGB, to `output`, uint8 of `channels`."""
    ends = [
        helper.make_tensor_value_info(name, TensorProto.UINT8, [1, count, height, width])
        for name, count, height, width in (("image", 3, "height", "width"), ("output", channels, None, None))
    ]
    tensors = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "tiny", ends[:1], ends[1:], tensors)
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("nowhere", 1)]
    model = helper.make_model(graph, ir_version=10, opset_imports=opsets)
    helper.set_model_props(model, {"scale": str(scale), "receptive_radius": str(radius)})
    path.write_bytes(model.SerializeToString())


def write_float(path: Path, *, scale: int) -> None:
    """A float graph of grey levels, `image` to `output`: mean subtracted, one convolution, PixelShuffle."""
    weight = np.random.default_rng(0).normal(0, 0.1, (3 * scale**2, 3, 3, 3)).astype(np.float32)
    constants = {"mean": np.full((1, 3, 1, 1), 110, np.float32), "weight": weight}
    nodes = [
        helper.make_node("Sub", ["image", "mean"], ["x"]),
        helper.make_node("Conv", ["x", "weight"], ["y"], pads=[1, 1, 1, 1]),
        helper.make_node("DepthToSpace", ["y"], ["z"], blocksize=scale, mode="CRD"),
        helper.make_node("Add", ["z", "mean"], ["output"]),
    ]
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3, None, None])
        for name in ("image", "output")
    ]
    tensors = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "float", ends[:1], ends[1:], tensors)
    model = helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 18)])
    path.write_bytes(model.SerializeToString())


def write_foreign(path: Path) -> None:
    """A build with an operation that no runtime has."""
    save(path, [helper.make_node("Unheard", ["image"], ["output"], domain="nowhere")], {})


def photograph(height: int, width: int) -> np.ndarray:
    """uint8 HWC RGB: waves with noise, so that no two places are alike."""
    rows, columns = np.mgrid[:height, :width]
    waves = 120 + 90 * np.sin(rows / 7)[..., None] * np.cos(columns[..., None] / (5, 6, 7))
    noise = np.random.default_rng(height * 1000 + width).integers(-20, 21, (height, width, 3))
    return np.clip(waves + noise, 0, 255).astype(np.uint8)
