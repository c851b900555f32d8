"""Forward passes that show a network's inner tensors and never hold many of them at once.

As extra outputs of one graph, the tensors of an image would all be in memory together, several times what a
plain forward pass needs. Run as subgraphs, a residual block at a time, they come a few at a time and are
released after they are counted.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import onnxruntime as ort

from edsr_int8.onnx_session import session_options
from edsr_int8.quantization.ir.float_onnx import float_model
from edsr_int8.quantization.ir.layers import IMAGE, Layer, PixelShuffle


@dataclass(frozen=True)
class Subgraph:
    """Layers that run together, the tensors that they read, and those that are needed after them."""

    layers: tuple[Layer, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def split(layers: Sequence[Layer], wanted: Sequence[str]) -> list[Subgraph]:
    """Subgraphs that end where a residual block or an up-sampling step does, up to the last wanted tensor."""
    last = max(i for i, layer in enumerate(layers) if layer.name in wanted)
    groups: list[list[Layer]] = [[]]
    for layer in layers[: last + 1]:
        groups[-1].append(layer)
        if len(layer.inputs) > 1 or isinstance(layer, PixelShuffle):
            groups.append([])
    groups = [group for group in groups if group]
    return [_subgraph(group, groups[i + 1 :], wanted) for i, group in enumerate(groups)]


def _subgraph(group: list[Layer], later: list[list[Layer]], wanted: Sequence[str]) -> Subgraph:
    made = [layer.name for layer in group]
    read = dict.fromkeys(name for layer in group for name in layer.inputs if name not in made)
    needed = {*wanted, *(name for other in later for layer in other for name in layer.inputs)}
    return Subgraph(tuple(group), tuple(read), tuple(name for name in made if name in needed))


class Forward:
    """A network's forward pass in onnxruntime on the CPU, subgraph by subgraph."""

    def __init__(self, layers: Sequence[Layer], wanted: Sequence[str], *, threads: int = 0) -> None:
        self._wanted = frozenset(wanted)
        self._subgraphs = split(layers, wanted)
        self._sessions = [_session(subgraph, threads) for subgraph in self._subgraphs]

    def __call__(self, image: np.ndarray) -> Iterator[dict[str, np.ndarray]]:
        """From float32 NCHW `image`, the wanted tensors of one subgraph after another."""
        alive = {IMAGE: image}
        for i, (subgraph, session) in enumerate(zip(self._subgraphs, self._sessions, strict=True)):
            values = session.run(subgraph.outputs, {name: alive[name] for name in subgraph.inputs})
            made = dict(zip(subgraph.outputs, values, strict=True))
            later = {name for other in self._subgraphs[i + 1 :] for name in other.inputs}
            alive = {name: value for name, value in (alive | made).items() if name in later}
            yield {name: value for name, value in made.items() if name in self._wanted}


def _session(subgraph: Subgraph, threads: int) -> ort.InferenceSession:
    options = session_options(threads)
    # Between two subgraphs a spinning thread would take time from those that count.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    model = float_model(subgraph.layers, subgraph.inputs, subgraph.outputs)
    return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
