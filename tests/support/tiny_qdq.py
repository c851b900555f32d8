"""A small strict-int8 graph of every operation that EDSR has, with random weights, in QDQ form."""

from pathlib import Path

import numpy as np
from onnx import helper
from tiny_build import save

FEATURES = 16


class Qdq:
    """Nodes and constants of a graph being built; a tensor goes by its quantized name."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.nodes: list = []
        self.constants: dict[str, np.ndarray] = {}
        self.grids = {"image": (np.float32(1), 0)}

    def constant(self, name: str, value: object, kind: type) -> str:
        self.constants[name] = np.asarray(value, kind)
        return name

    def node(self, op: str, inputs: list[str], output: str, **attributes: object) -> str:
        self.nodes.append(helper.make_node(op, inputs, [output], output, **attributes))
        return output

    def real(self, name: str) -> str:
        """The dequantized tensor. Each use gets its own DequantizeLinear, as other quantizers write it."""
        scale, zero = self.grids[name]
        user = f"{name}.real{len(self.nodes)}"
        inputs = [
            name,
            self.constant(f"{user}.scale", scale, np.float32),
            self.constant(f"{user}.zero", zero, np.uint8),
        ]
        return self.node("DequantizeLinear", inputs, user)

    def quantize(self, real: str, name: str, scale: float, zero: int) -> str:
        self.grids[name] = (np.float32(scale), zero)
        inputs = [
            real,
            self.constant(f"{name}.scale", scale, np.float32),
            self.constant(f"{name}.zero", zero, np.uint8),
        ]
        return self.node("QuantizeLinear", inputs, name)

    def conv(self, source: str, name: str, inputs: int, outputs: int, scale: float, zero: int) -> str:
        weight = self.random.integers(-127, 128, (outputs, inputs, 3, 3))
        steps = self.random.uniform(0.5, 1, outputs).astype(np.float32) * np.float32(
            scale / 200 / np.sqrt(inputs)
        )
        steps = (steps / self.grids[source][0]).astype(np.float32)
        bias = self.random.integers(-5000, 5000, outputs)
        dequantized = []
        for part, values, kind, step in (
            ("weight", weight, np.int8, steps),
            ("bias", bias, np.int32, steps * self.grids[source][0]),
        ):
            codes = self.constant(f"{name}.{part}", values, kind)
            grid = [
                self.constant(f"{name}.{part}.scale", step, np.float32),
                self.constant(f"{name}.{part}.zero", np.zeros(outputs), kind),
            ]
            dequantized.append(self.node("DequantizeLinear", [codes, *grid], f"{name}.{part}.real", axis=0))
        real = self.node("Conv", [self.real(source), *dequantized], f"{name}.linear", pads=[1, 1, 1, 1])
        return self.quantize(real, name, scale, zero)

    def add(self, first: str, second: str, name: str, scale: float, zero: int) -> str:
        real = self.node("Add", [self.real(first), self.real(second)], f"{name}.sum")
        return self.quantize(real, name, scale, zero)

    def shuffle(self, source: str, name: str) -> str:
        self.grids[name] = self.grids[source]
        return self.node("DepthToSpace", [source], name, blocksize=2, mode="CRD")

    def plane(self, source: str, name: str, value: int) -> str:
        self.grids[name] = self.grids[source]
        pads = self.constant(f"{name}.pads", [0, 0, 0, 0, 0, 1, 0, 0], np.int64)
        return self.node("Pad", [source, pads, self.constant(f"{name}.value", value, np.uint8)], name)


def write_edsr(path: Path, seed: int = 0, blocks: int = 2) -> None:
    """x2, receptive radius 2 * blocks + 3."""
    graph = Qdq(seed)
    scales = graph.random.uniform(0.7, 1.4, 2 * blocks + 2)
    head = trunk = graph.conv(graph.plane("image", "plane", 255), "head", 4, FEATURES, scales[0], 121)
    for i in range(blocks):
        inner = graph.conv(trunk, f"{i}.conv1", FEATURES, FEATURES, scales[2 * i + 1], 0)
        branch = graph.conv(inner, f"{i}.conv2", FEATURES, FEATURES, scales[2 * i + 2], 127)
        trunk = graph.add(trunk, branch, f"{i}.add", 1.5, 126)
    trunk = graph.add(head, trunk, "long", 2.1, 125)
    wide = graph.conv(trunk, "upsample", FEATURES, 4 * FEATURES, scales[-1], 130)
    graph.conv(graph.shuffle(wide, "shuffle"), "output", FEATURES, 3, 1.0, 0)
    save(path, graph.nodes, graph.constants, radius=2 * blocks + 3)


def write_block(path: Path) -> None:
    """One residual block. The first term of its sum is also read by the block's convolution."""
    graph = Qdq(3)
    head = graph.conv("image", "head", 3, FEATURES, 1.313, 121)
    inner = graph.conv(head, "conv1", FEATURES, FEATURES, 1.019, 0)
    branch = graph.conv(inner, "conv2", FEATURES, FEATURES, 2.113, 127)
    graph.add(head, branch, "output", 2.477, 125)
    save(path, graph.nodes, graph.constants, channels=FEATURES, scale=1, radius=3)
