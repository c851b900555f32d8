"""Qualcomm's HTP through onnxruntime's QNN plugin: on x86-64 the simulator that the plugin brings."""

import json
import platform
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from onnxruntime import InferenceSession

from edsr_int8.errors import InputError
from edsr_int8.machine import X86_64
from edsr_int8.onnx_file import read_onnx
from edsr_int8.targets.base import Capabilities, Runner, Unavailable, one_line
from edsr_int8.targets.figures import Arithmetic, Placement
from edsr_int8.targets.placement import placement
from edsr_int8.targets.qnn.context import ARCHITECTURES, write_contexts
from edsr_int8.targets.qnn.session import INSTALL, PROVIDER, Shape, installed, open_session
from edsr_int8.targets.row import TargetRow
from edsr_int8.tiling import MIB

# Types of tensors in the dump of a QNN graph (QnnTypes.h): fixed point of 8 and 16 bits, signed and unsigned.
FIXED_POINT: dict[int, Arithmetic] = {0x308: "int8", 0x408: "int8", 0x316: "int16", 0x416: "int16"}
DEFAULT_ARCHITECTURE = "73"  # it and all later ones give equal pictures in the simulator; 68 and 69 others
SECONDS_PER_GMAC = 1.0  # of the simulator, measured on a Xeon with the sample networks on tiles of 96x96


@dataclass(frozen=True)
class Qnn:
    row: TargetRow

    @property
    def capabilities(self) -> Capabilities:
        simulated = platform.machine() in X86_64
        return Capabilities(
            dtypes=("int8", "mixed", "float16"),
            dynamic_shape=False,
            overhead_bytes=600 * MIB,
            weight_factor=4,
            activation_factor=4,
            why_not=dict.fromkeys(
                ("float32", "bfloat16"),
                "qnn: the HTP computes in integers and in float16; give a row with dtype float16",
            ),
            seconds_per_gmac=SECONDS_PER_GMAC if simulated else None,
        )

    def probe(self) -> dict[str, Any]:
        if self.row.provider.removeprefix("v") not in ("", *ARCHITECTURES):
            known = ", ".join(f"v{name}" for name in ARCHITECTURES)
            raise InputError(f"provider: qnn knows no HTP {self.row.provider!r}; it has {known}")
        facts = {"runtime": "qnn", "version": installed(), "onnxruntime": version("onnxruntime")}
        why_not = "" if installed() else INSTALL
        return {**facts, "available": not why_not, "why_not": why_not, "architecture": platform.machine()}

    def load(self, model: Path, *, height: int | None = None, width: int | None = None) -> Runner:
        session = self._session(model, height, width)
        name = session.get_inputs()[0].name

        def run(image: np.ndarray) -> np.ndarray:
            try:
                return session.run(None, {name: image})[0]
            except Exception as error:  # onnxruntime's exceptions share no base class
                raise Unavailable(f"qnn stopped: {one_line(error)}") from error

        return run

    def placement(self, model: Path, *, height: int, width: int) -> Placement:
        """By the types of what convolutions read and write in the graph that was handed to the HTP."""
        with tempfile.TemporaryDirectory() as folder:
            dump = {"dump_json_qnn_graph": "1", "json_qnn_graph_dir": folder}
            session = self._session(model, height, width, dump)
            kinds: dict[str, Arithmetic] = {}
            for path in Path(folder).glob("*.json"):
                kinds |= convolutions(json.loads(path.read_text(encoding="utf-8")).get("graph", {}))
        assigned = session.get_provider_graph_assignment_info()
        elsewhere = [len(part.get_nodes()) for part in assigned if part.ep_name != PROVIDER]
        partitions = len(assigned) - len(elsewhere)
        return placement(read_onnx(model).graph, kinds, partitions=partitions, cpu_nodes=sum(elsewhere))

    def compile(self, model: Path, out: Path) -> None:
        """Write `out`/<architecture>.onnx and .bin, a context binary for each HTP that the plugin knows."""
        write_contexts(model, self._shape(None, None), out)

    def _session(
        self, model: Path, height: int | None, width: int | None, options: Mapping[str, str] | None = None
    ) -> InferenceSession:
        architecture = self.row.provider.removeprefix("v") or DEFAULT_ARCHITECTURE
        return open_session(model, self._shape(height, width), architecture, provider=options)

    def _shape(self, height: int | None, width: int | None) -> Shape:
        if self.row.tile:
            return self.row.tile
        if height and width:
            return height, width
        raise Unavailable("qnn runs one shape; give its row a tile: [height, width]")


def convolutions(graph: dict[str, Any]) -> dict[str, Arithmetic]:
    """The arithmetic of each convolution of a dumped QNN graph, by the name of its node in the build.

    onnxruntime adds `_token_` and a number to the name of a node that was one of several.
    """
    found: dict[str, Arithmetic] = {}
    for name, node in graph.get("nodes", {}).items():
        if node["type"] in ("Conv2d", "DepthWiseConv2d"):
            image, weight, *_ = node["input_names"]
            types = {graph["tensors"][tensor]["data_type"] for tensor in (image, *node["output_names"])}
            kinds = {
                FIXED_POINT.get(kind, "float") for kind in (*types, graph["tensors"][weight]["data_type"])
            }
            found[re.sub(r"_token_\d+$", "", name)] = next(
                k for k in ("float", "int16", "int8") if k in kinds
            )
    return found


def open_target(row: TargetRow) -> Qnn:
    return Qnn(row)
