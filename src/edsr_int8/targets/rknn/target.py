"""Rockchip's NPUs: the toolkit compiles a build's own integers and simulates the chip, in its own Python."""

import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from edsr_int8.files import atomic
from edsr_int8.onnx_file import read_onnx
from edsr_int8.targets.base import Capabilities, Runner, Unavailable, one_line
from edsr_int8.targets.figures import Arithmetic, Placement
from edsr_int8.targets.placement import placement
from edsr_int8.targets.rknn.form import rknn_form
from edsr_int8.targets.rknn.toolkit import Operation, Toolkit, version_in
from edsr_int8.targets.row import TargetRow
from edsr_int8.tiling import MIB

INSTALL = (
    "rknn: no rknn-toolkit2 in the Python of the row ({python}); python3.11 -m venv rknn; "
    "rknn/bin/pip install rknn-toolkit2 'setuptools<80'; then python: rknn/bin/python in the row"
)
DEFAULT_PLATFORM = "rk3588"
TYPES: dict[str, Arithmetic] = {"INT8": "int8", "INT16": "int16"}
CAPABILITIES = Capabilities(
    dtypes=("int8", "mixed"),
    dynamic_shape=False,
    overhead_bytes=600 * MIB,
    weight_factor=8,
    activation_factor=8,
    seconds_per_gmac=0.1,
)


@dataclass(frozen=True)
class Rknn:
    row: TargetRow
    capabilities = CAPABILITIES

    def probe(self) -> dict[str, Any]:
        version = version_in(self.row.python) if self.row.python else ""
        why_not = "" if version else INSTALL.format(python=self.row.python or "none")
        facts = {"runtime": "rknn", "version": version, "platform": self._platform}
        return {**facts, "available": not why_not, "why_not": why_not}

    def load(self, model: Path, *, height: int | None = None, width: int | None = None) -> Runner:
        toolkit = self._toolkit(model, height, width)

        def run(image: np.ndarray) -> np.ndarray:
            return toolkit(image)

        return run

    def placement(self, model: Path, *, height: int, width: int) -> Placement:
        """By the table of operations that the compiler prints."""
        operations = self._toolkit(model, height, width).operations()
        return placed(read_onnx(model), operations)

    def compile(self, model: Path, out: Path) -> None:
        """Write `out`/<platform>.rknn. The toolkit leaves some of its bytes to chance, so they differ."""
        toolkit = self._toolkit(model, None, None)
        with atomic(out / f"{self._platform}.rknn") as temporary:
            shutil.copyfile(toolkit.compiled, temporary)

    @property
    def _platform(self) -> str:
        return self.row.provider or DEFAULT_PLATFORM

    def _toolkit(self, model: Path, height: int | None, width: int | None) -> Toolkit:
        if why_not := self.probe()["why_not"]:
            raise Unavailable(why_not)
        shape = self.row.tile or (height and width and (height, width))
        if not shape:
            raise Unavailable("rknn runs one shape; give its row a tile: [height, width]")
        try:
            written = rknn_form(model, shape)
        except Exception as error:  # ValueError: a part of the build has no such form; onnx's own
            raise Unavailable(f"rknn cannot load {model}: {one_line(error)}") from error
        return Toolkit(self.row.python, written, self._platform)


def placed(model: onnx.ModelProto, operations: list[Operation]) -> Placement:
    """A fused convolution has the name of its node, and a word such as _ConvAdd after it."""
    names = {node.name for node in model.graph.node if node.op_type == "Conv"}
    kinds: dict[str, Arithmetic] = {}
    for operation in operations:
        name = re.sub(r"_Conv[A-Za-z]+$", "", operation.name)
        if name in names:
            kinds[name] = TYPES.get(operation.type, "float")
    inner = [o for o in operations if o.kind not in ("InputOperator", "OutputOperator")]
    on_npu = [o.place == "NPU" for o in inner]
    partitions = sum(here and not before for before, here in zip([False, *on_npu], on_npu, strict=False))
    return placement(model.graph, kinds, partitions=partitions, cpu_nodes=len(inner) - sum(on_npu))


def open_target(row: TargetRow) -> Rknn:
    return Rknn(row)
