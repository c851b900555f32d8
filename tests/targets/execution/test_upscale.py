"""A build in two subgraphs and in tiles, against the runtime's own untiled picture."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from needs import need_openvino_int8
from tiny_build import photograph
from tiny_qdq import write_edsr

from edsr_int8.errors import InputError
from edsr_int8.targets.base import open_target
from edsr_int8.targets.execution import upscale
from edsr_int8.targets.execution.upscale import open_build
from edsr_int8.targets.row import TargetRow


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino", "integer"])
def test_tiles_within_tiles_give_the_untiled_picture(
    runtime: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if runtime == "openvino":
        need_openvino_int8()
    write_edsr(tmp_path / "model.onnx")
    image = photograph(61, 90)
    monkeypatch.setattr(upscale, "LEAST_ENLARGED", 16)
    roomy = open_target(TargetRow(runtime, threads=1, memory_budget_mb=2000))
    whole = roomy.load(tmp_path / "model.onnx")(np.ascontiguousarray(image.transpose(2, 0, 1)[None]))[0]
    assert np.array_equal(open_build(roomy, tmp_path / "model.onnx")(image), whole.transpose(1, 2, 0))
    hungry = replace(roomy.capabilities, activation_factor=200)
    monkeypatch.setattr(type(roomy), "capabilities", hungry)
    with pytest.raises(InputError) as caught:
        tight(runtime, 1, tmp_path)(image)
    found = tight(runtime, int(str(caught.value).rsplit(" ", 1)[1]), tmp_path)
    tile, inner = found.tiles(61, 90)
    assert tile[0] * tile[1] < 61 * 90 and inner[0] * inner[1] < tile[0] * tile[1]
    assert np.array_equal(found(image), whole.transpose(1, 2, 0))


def tight(runtime: str, budget_mb: int, folder: Path) -> upscale.Upscaler:
    target = open_target(TargetRow(runtime, threads=1, memory_budget_mb=budget_mb))
    return open_build(target, folder / "model.onnx")
