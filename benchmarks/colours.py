"""How far builds shift colours that photographs hide, in grey levels against the float graph, in onnxruntime.

    python benchmarks/colours.py FLOAT.onnx BUILD.onnx [BUILD.onnx ...]

729 flat colours, 9 levels of each channel, and stripes of every two corners of the RGB cube, 2, 4 and 8
pixels wide. A shift is that of a field's mean colour over its middle, in the channel that differs most.
FLOAT.onnx is what the stage export writes, or benchmarks/quantization_quality.py with --builds.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnxruntime as ort

from edsr_int8.data.colour_chart import FIELD, MIDDLE, flat_fields, striped_fields
from edsr_int8.onnx_session import session_options

LEVELS = 9
STRIPES = (2, 4, 8)
VISIBLE = 2.0  # grey levels


def means(model: Path, fields: np.ndarray) -> np.ndarray:
    """The mean colour of the middle of each field, as the model's uint8 image shows it: fields x 3."""
    session = ort.InferenceSession(model, session_options())
    kind = np.uint8 if session.get_inputs()[0].type == "tensor(uint8)" else np.float32
    return np.array(list(_means(session, np.ascontiguousarray(fields.transpose(0, 3, 1, 2), kind))))


def _means(session: ort.InferenceSession, fields: np.ndarray) -> Iterator[np.ndarray]:
    for field in fields:
        output = np.clip(np.rint(session.run(None, {"image": field[None]})[0][0]), 0, 255)
        scale = output.shape[1] // FIELD
        start, middle = (FIELD - MIDDLE) * scale // 2, MIDDLE * scale
        yield output[:, start : start + middle, start : start + middle].mean(axis=(1, 2), dtype=np.float64)


def main() -> None:
    parser = argparse.ArgumentParser(description="Shifts of colours in int8")
    parser.add_argument("float_graph", type=Path)
    parser.add_argument("builds", type=Path, nargs="+")
    options = parser.parse_args()
    fields = {f"{LEVELS**3} flat colours": flat_fields(LEVELS)}
    fields |= {f"stripes of {width} pixels": striped_fields(width) for width in STRIPES}
    expected = {name: means(options.float_graph, some) for name, some in fields.items()}
    print(f"worst shift in grey levels, and how many fields shift by more than {VISIBLE:g}")
    for build in options.builds:
        print(build)
        for name, some in fields.items():
            shifts = np.abs(means(build, some) - expected[name]).max(axis=1)
            print(f"  {name:24s}{shifts.max():8.2f}{int((shifts > VISIBLE).sum()):5d} of {len(shifts)}")


if __name__ == "__main__":
    main()
